/** Tag lists (RFC 6376 §3.2), as DKIM-Signature, ARC fields and key records are written. Linear in their length. */

const WIDTH = 78;

/**
 * A field of tags, with its CRLF, in lines of at most 78 octets where a value can be cut: `h=` at its colons,
 * base64 anywhere. The last tag has no semicolon.
 */
export function tagField(name: string, tags: readonly (readonly [string, string])[]): Buffer {
  const lines = [`${name}:`];
  const put = (piece: string, blank: boolean): void => {
    const line = lines.at(-1) ?? "";
    const glued = `${line}${blank ? " " : ""}${piece}`;
    if (glued.length <= WIDTH) lines[lines.length - 1] = glued;
    else lines.push(` ${piece}`);
  };
  tags.forEach(([tag, value], index) => {
    const end = index === tags.length - 1 ? "" : ";";
    const [first = "", ...rest] = piecesOf(tag, `${tag}=${value}${end}`);
    put(first, true);
    for (const piece of rest) put(piece, false);
  });
  return Buffer.from(`${lines.join("\r\n")}\r\n`, "latin1");
}

const BASE64 = new Set(["b", "bh"]);

function piecesOf(tag: string, text: string): string[] {
  if (tag === "h") return text.match(/[^:]+:?/g) ?? [];
  return BASE64.has(tag) ? (text.match(/.{1,64}/g) ?? []) : [text];
}

/**
 * By name, without white space around names and values; of the same name the first. Undefined when a part has no `=`.
 */
export function readTags(text: string): ReadonlyMap<string, string> | undefined {
  const parts = text.split(";");
  if (parts.length > 1 && parts.at(-1)?.trim() === "") parts.pop();
  const tags = new Map<string, string>();
  for (const part of parts) {
    const at = part.indexOf("=");
    const name = part.slice(0, Math.max(at, 0)).trim();
    if (name === "") return undefined;
    if (!tags.has(name)) tags.set(name, part.slice(at + 1).trim());
  }
  return tags;
}

/** Values in which white space means nothing: base64, lists with colons. */
export function withoutBlanks(value: string): string {
  return value.replace(/[ \t\r\n]+/g, "");
}
