/** Takes a notice apart again, by the grammar of RFC 5322 and RFC 2046 and by nothing of the code under test. */
import type { Notice } from "../../../src/notify/notice.ts";

export interface Entity {
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly type: string;
  /** Decoded content of a leaf. */
  readonly text: string;
  readonly parts: readonly Entity[];
}

export function readNotice({ header, body }: Pick<Notice, "header" | "body">): Entity {
  return readEntity(Buffer.concat([header, body]).toString("latin1"));
}

export function field(entity: Pick<Entity, "fields">, name: string): string | undefined {
  return entity.fields.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
}

export function names(entity: Pick<Entity, "fields">): string[] {
  return entity.fields.map(([name]) => name);
}

/** Groups of fields, separated by empty lines (RFC 3464 §2.1). */
export function fieldGroups(text: string): Pick<Entity, "fields">[] {
  return text
    .split("\r\n\r\n")
    .filter((group) => group.trim() !== "")
    .map((group) => ({ fields: readFields(group) }));
}

function readEntity(text: string): Entity {
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) throw new Error("no end of header");
  const fields = readFields(text.slice(0, end));
  const content = text.slice(end + 4);
  const type = field({ fields }, "Content-Type") ?? "text/plain";
  const boundary = /^multipart\/.*boundary="([^"]+)"/.exec(type)?.[1];
  if (boundary === undefined) {
    const quoted = field({ fields }, "Content-Transfer-Encoding") === "quoted-printable";
    return { fields, type, text: quoted ? unquote(content) : content, parts: [] };
  }
  const [preamble, ...pieces] = `\r\n${content}`.split(`\r\n--${boundary}`);
  const epilogue = pieces.pop();
  if (preamble !== "" || !epilogue?.startsWith("--\r\n")) throw new Error("no closing boundary");
  const parts = pieces.map((piece) => {
    if (!piece.startsWith("\r\n")) throw new Error("text beside a boundary");
    return readEntity(piece.slice(2));
  });
  return { fields, type, text: "", parts };
}

function readFields(block: string): [string, string][] {
  return block
    .replace(/\r\n(?=[ \t])/g, "")
    .split("\r\n")
    .filter((line) => line !== "")
    .map((line) => {
      const colon = line.indexOf(": ");
      if (colon < 1) throw new Error(`no field: ${line}`);
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
}

function unquote(text: string): string {
  const octets = text
    .replaceAll("=\r\n", "")
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(octets, "latin1").toString("utf8");
}
