/** MIME parts of a notice as 7-bit text (RFC 2045, RFC 2046): pure, with CRLF throughout. */
import { headerLine } from "./header-line.ts";

/** A body part: its header, an empty line, its content. Content that is not plain ASCII lines is quoted-printable. */
export function part(type: string, content: string | Buffer): string {
  const bytes = Buffer.from(content);
  const text = bytes.toString("latin1");
  if (isPlain(text)) return `${headerLine("Content-Type", type)}\r\n${text}`;
  const encoding = headerLine("Content-Transfer-Encoding", "quoted-printable");
  return `${headerLine("Content-Type", type)}${encoding}\r\n${quotedPrintable(text)}`;
}

/** `boundary` is random and starts with `=_`, which no part contains: quoted-printable encodes the `=`. */
export function multipart(subtype: string, boundary: string, parts: readonly string[]): string {
  return `${headerLine("Content-Type", `multipart/${subtype}; boundary="${boundary}"`)}\r\n${joined(boundary, parts)}`;
}

/** What stands between the boundaries (RFC 2046 §5.1.1). */
export function joined(boundary: string, parts: readonly string[]): string {
  return `${parts.map((part) => `--${boundary}\r\n${part}\r\n`).join("")}--${boundary}--\r\n`;
}

/** 7-bit lines with CRLF, none too long for SMTP (RFC 5321 §4.5.3.1.6). */
function isPlain(text: string): boolean {
  if (text.includes("--=_") || /[^\x20-\x7e\t\r\n]|\r(?!\n)|[^\r]\n|^\n/.test(text)) return false;
  return text.split("\r\n").every((line) => line.length <= 900);
}

/** RFC 2045 §6.7. Takes octets as latin1 characters; CRLF stays a line end, a bare CR or LF is encoded. */
function quotedPrintable(text: string): string {
  return text.split("\r\n").map(quotedLine).join("\r\n");
}

function quotedLine(line: string): string {
  const lines: string[] = [];
  let current = "";
  for (let at = 0; at < line.length; at += 1) {
    const octet = line[at] ?? "";
    const last = at === line.length - 1;
    const literal = /[!-<>-~]/.test(octet) || (octet === " " && !last);
    const token = literal ? octet : `=${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`;
    if (current.length + token.length > 75) {
      lines.push(`${current}=`);
      current = "";
    }
    current += token;
  }
  return [...lines, current].join("\r\n");
}
