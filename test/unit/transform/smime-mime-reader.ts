/**
 * Reads a whole message into its decoded leaves, the plain way and by nothing of the code under test: what a recipient's
 * program would show and save.
 */
export interface Leaf {
  readonly type: string;
  readonly content: Buffer;
}

interface Entity {
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly content: string;
}

export function leavesOf(message: Buffer): Leaf[] {
  return leaves(message.toString("latin1"), "text/plain", 0);
}

/** The first part of a multipart/signed, octet for octet as it is hashed. */
export function signedOctets(message: Buffer): Buffer {
  const { fields, content } = read(message.toString("latin1"));
  const boundary = boundaryOf(field(fields, "content-type") ?? "") ?? "";
  const [, first = ""] = `\r\n${content}`.split(`\r\n--${boundary}`);
  return Buffer.from(first.replace(/^[ \t]*\r\n/, ""), "latin1");
}

export function fieldOf(message: Buffer, name: string): string | undefined {
  return field(read(message.toString("latin1")).fields, name.toLowerCase());
}

export function bodyText(message: Buffer): string {
  return read(message.toString("latin1")).content;
}

function leaves(text: string, standard: string, depth: number): Leaf[] {
  const { fields, content } = read(text);
  const given = field(fields, "content-type") ?? standard;
  const type = (/^\s*([^;\s]+)/.exec(given)?.[1] ?? standard).toLowerCase();
  const boundary = type.startsWith("multipart/") ? boundaryOf(given) : undefined;
  if (depth > 120) return [];
  if (boundary !== undefined && boundary !== "") {
    const inner = type === "multipart/digest" ? "message/rfc822" : "text/plain";
    return parts(content, boundary).flatMap((part) => leaves(part, inner, depth + 1));
  }
  const encoding = (field(fields, "content-transfer-encoding") ?? "").toLowerCase();
  if (type === "message/rfc822" && !/quoted|base64/.test(encoding)) return leaves(content, "text/plain", depth + 1);
  return [{ type, content: decode(content, encoding) }];
}

function read(text: string): Entity {
  const whole = `\r\n${text}`;
  const end = whole.indexOf("\r\n\r\n");
  const header = end < 0 ? whole : whole.slice(0, end);
  const fields = header
    .replace(/\r\n[ \t]/g, " ")
    .split("\r\n")
    .flatMap((line) => {
      const colon = line.indexOf(":");
      return colon < 1 ? [] : [[line.slice(0, colon).trimEnd().toLowerCase(), line.slice(colon + 1).trim()] as const];
    });
  return { fields, content: end < 0 ? "" : whole.slice(end + 4) };
}

function field(fields: Entity["fields"], name: string): string | undefined {
  return fields.find(([key]) => key === name)?.[1];
}

function boundaryOf(type: string): string | undefined {
  const quoted = /;\s*boundary\s*=\s*"((?:[^"\\]|\\.)*)"/i.exec(type)?.[1]?.replace(/\\(.)/g, "$1");
  const joined = [...type.matchAll(/;\s*boundary\*\d\*?="?([^;\s"]*)"?/gi)];
  if (quoted !== undefined) return quoted.replace(/[ \t]+$/, "");
  if (joined.length > 0) return joined.map(([, piece]) => piece).join("");
  return /;\s*boundary\s*=\s*([^;\s]+)/i.exec(type)?.[1];
}

function parts(content: string, boundary: string): string[] {
  const found: string[][] = [];
  let open: string[] | undefined;
  for (const line of content.split("\r\n")) {
    const trimmed = line.replace(/[ \t]+$/, "");
    if (trimmed === `--${boundary}`) found.push((open = []));
    else if (trimmed === `--${boundary}--`) {
      open = undefined;
      break;
    } else open?.push(line);
  }
  return found.map((lines) => lines.join("\r\n"));
}

function decode(content: string, encoding: string): Buffer {
  if (encoding.startsWith("base64")) return Buffer.from(content, "base64");
  if (!encoding.startsWith("quoted-printable")) return Buffer.from(content, "latin1");
  const joined = content.replace(/[ \t]+(?=\r\n|$)/g, "").replace(/=\r\n/g, "");
  return Buffer.from(
    joined.replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    "latin1",
  );
}
