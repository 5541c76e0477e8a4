/**
 * Puts the messages of the corpus together. Everything is CRLF and nothing is random, so that a message is the same
 * octets in every run. Text stands for octets as latin1; write other charsets as escapes.
 */

export interface CorpusMessage {
  readonly name: string;
  /** Whole lines, with the final empty one. */
  readonly header: Buffer;
  /** May lack a final CRLF; may be empty. */
  readonly body: Buffer;
}

/** Header lines without CRLF, a folded field as several. */
export function message(name: string, header: readonly string[], body: string | Buffer): CorpusMessage {
  const block = `${header.map((line) => `${line}\r\n`).join("")}\r\n`;
  return { name, header: octets(block), body: typeof body === "string" ? octets(body) : body };
}

export function octets(latin1: string): Buffer {
  return Buffer.from(latin1, "latin1");
}

/** UTF-8 as latin1, to stand in a text for octets. */
export function utf8(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

export function lines(...all: readonly string[]): string {
  return all.map((line) => `${line}\r\n`).join("");
}

/** What most mail starts with. */
export function head(subject: string, ...more: readonly string[]): string[] {
  return [
    "Date: Tue, 24 Nov 2026 10:11:12 +0100",
    "From: Anna Beispiel <anna@example.org>",
    "To: Bert Muster <bert@acme.example>",
    `Subject: ${subject}`,
    `Message-ID: <${subject.toLowerCase().replace(/[^a-z0-9]+/g, "-")}.1@example.org>`,
    ...more,
  ];
}

export function mime(subject: string, type: string, ...more: readonly string[]): string[] {
  return head(subject, "MIME-Version: 1.0", `Content-Type: ${type}`, ...more);
}

/** A body part: header lines, an empty line, content. */
export function part(header: readonly string[], content: string): string {
  return `${lines(...header)}\r\n${content}`;
}

export function multipart(boundary: string, parts: readonly string[]): string {
  return `${parts.map((one) => `--${boundary}\r\n${one}\r\n`).join("")}--${boundary}--\r\n`;
}

export function base64(content: string | Buffer, width = 76): string {
  const all = Buffer.from(content as string, "latin1").toString("base64");
  return lines(...(all.match(new RegExp(`.{1,${width}}`, "g")) ?? []));
}

/** RFC 2045 §6.7; takes CRLF as line ends. */
export function quotedPrintable(content: string): string {
  return content
    .split("\r\n")
    .map((line) =>
      line
        .replace(/[^!-<>-~ ]/g, (octet) => `=${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`)
        .replace(/ $/, "=20"),
    )
    .flatMap(
      (line) =>
        line.match(/(?:=..|[^=]){1,73}/g)?.map((piece, at, all) => (at < all.length - 1 ? `${piece}=` : piece)) ?? [""],
    )
    .join("\r\n");
}

/** Octets that look like a compressed file: all values, no pattern, always the same. */
export function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 0x2545f491;
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}
