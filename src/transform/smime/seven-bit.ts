/**
 * Makes a MIME entity 7-bit before it is signed, since a gateway on the way that does so would break the signature (RFC 8551
 * §3.1.3). Two passes: the survey finds which parts need it, the rewriting changes these and not one octet else.
 * Never touches what others have signed or encrypted inside: such 8-bit content stays, and the survey says so.
 */
import { isAscii } from "node:buffer";
import { createBase64, foldBase64 } from "./base64-lines.ts";
import { encodingWord, type Field, splitFields, valueOf } from "./mime-fields.ts";
import { type Shape, shapeOf } from "./mime-shape.ts";
import { LONGEST_LINE, type MimeProblem, MimeWalk, type Part } from "./mime-walk.ts";
import { createQuotedPrintable, type Encoder, mendQuotedPrintable } from "./quoted-printable.ts";
import { Utf8Check } from "./utf8-check.ts";

export type Body = () => AsyncIterable<Buffer>;

/** How one part changes. relabel: only its Content-Transfer-Encoding, since its parts became 7-bit. */
export type Change = "quoted-printable" | "base64" | "mend-quoted-printable" | "fold-base64" | "relabel";

export interface Survey {
  /** By ordinal of the part. Empty: nothing needs to change. */
  readonly changes: ReadonlyMap<number, Change>;
  /** What remains, whatever is changed: nothing that may be encoded another way. */
  readonly left: { readonly eightBit: boolean; readonly longLines: boolean };
  /** Of a body that is no multipart, as it stands. */
  readonly text: "ascii" | "utf-8" | "other";
}

/** What was seen of one part, the header included, its parts not. */
interface Seen {
  readonly parent: number;
  readonly shape: Shape;
  /** 8-bit, or NUL, which is no 7-bit data either (RFC 2045 §2.7). */
  eightBit: boolean;
  longLine: boolean;
  readonly labelled: boolean;
  readonly header: { readonly eightBit: boolean; readonly longLine: boolean };
}

/** `fields`: the Content-* fields of the entity. */
export async function survey(fields: readonly Field[], body: Body): Promise<Survey | { problem: MimeProblem }> {
  const root = shapeOf(fields, false);
  const parts: Seen[] = [see(root, -1, fields)];
  const utf8 = new Utf8Check();
  const look = ({ ordinal }: Part, octets: Buffer) => {
    const part = parts[ordinal];
    if (part !== undefined) part.eightBit ||= !isAscii(octets) || octets.includes(0);
    if (ordinal === 0) utf8.push(octets);
  };
  const walk = new MimeWalk(root, {
    header: ({ parent, shape }, _raw, fields) => parts.push(see(shape, parent?.ordinal ?? 0, fields)),
    content: look,
    frame: look,
    end: () => {},
    longLine: ({ ordinal }) => {
      const part = parts[ordinal];
      if (part !== undefined) part.longLine = true;
    },
  });
  for await (const chunk of body()) {
    walk.push(chunk);
    if (walk.problem !== undefined) break;
  }
  walk.end();
  if (walk.problem !== undefined) return { problem: walk.problem };
  return { ...judge(parts), text: textOf(utf8, parts[0]) };
}

function textOf(utf8: Utf8Check, root: Seen | undefined): Survey["text"] {
  if (root?.eightBit !== true) return "ascii";
  return utf8.isValid() ? "utf-8" : "other";
}

function see(shape: Shape, parent: number, fields: readonly Field[]): Seen {
  const raw = fields.map((field) => field.raw);
  const header = {
    eightBit: raw.some((octets) => !isAscii(octets)),
    longLine: raw.some((octets) => octets.length > LONGEST_LINE && hasLongLine(octets)),
  };
  return { parent, shape, eightBit: false, longLine: false, labelled: isLabelled(fields), header };
}

function hasLongLine(octets: Buffer): boolean {
  return octets
    .toString("latin1")
    .split("\r\n")
    .some((line) => line.length > LONGEST_LINE);
}

/** Says that its content is not 7-bit. */
function isLabelled(fields: readonly Field[]): boolean {
  return fields.some(
    (field) =>
      field.name === "content-transfer-encoding" && ["8bit", "binary", "8-bit"].includes(encodingWord(valueOf(field))),
  );
}

function judge(parts: readonly Seen[]): Pick<Survey, "changes" | "left"> {
  const changes = new Map<number, Change>();
  const within = parts.map(() => ({ changed: false, eightBit: false, longLines: false }));
  for (let ordinal = parts.length - 1; ordinal >= 0; ordinal--) {
    const part = parts[ordinal];
    const own = within[ordinal];
    if (part === undefined || own === undefined) continue;
    const needed = part.eightBit || part.longLine;
    const change = needed ? changeOf(part.shape) : undefined;
    if (change === undefined) {
      own.eightBit ||= part.eightBit;
      own.longLines ||= part.longLine;
    } else {
      changes.set(ordinal, change);
      own.changed = true;
    }
    if (part.labelled && own.changed && change === undefined && !own.eightBit && !own.longLines)
      changes.set(ordinal, "relabel");
    const parent = within[part.parent] ?? { changed: false, eightBit: false, longLines: false };
    parent.changed ||= own.changed;
    parent.eightBit ||= own.eightBit || part.header.eightBit;
    parent.longLines ||= own.longLines || part.header.longLine;
    if (ordinal > 0) continue;
    return { changes, left: { eightBit: parent.eightBit, longLines: parent.longLines } };
  }
  return { changes, left: { eightBit: false, longLines: false } };
}

/** Undefined: it has to stay as it is. */
function changeOf(shape: Shape): Change | undefined {
  if (shape.kind !== "leaf") return undefined;
  if (shape.encoding === "base64") return "fold-base64";
  if (shape.encoding === "quoted-printable") return "mend-quoted-printable";
  return shape.text ? "quoted-printable" : "base64";
}

const ENCODERS: Readonly<Record<Exclude<Change, "relabel">, () => Encoder>> = {
  "quoted-printable": createQuotedPrintable,
  base64: createBase64,
  "mend-quoted-printable": mendQuotedPrintable,
  "fold-base64": foldBase64,
};

/** The entity's own fields after the changes. */
export function rewriteFields(fields: Buffer, { changes }: Pick<Survey, "changes">): Buffer {
  return relabelled(fields, splitFields(fields), changes.get(0));
}

/** The body after the changes; the same body that was surveyed must be read. */
export async function* rewriteBody(
  fields: readonly Field[],
  body: Body,
  { changes }: Pick<Survey, "changes">,
): AsyncIterable<Buffer> {
  if (changes.size === 0) return yield* body();
  const out: Buffer[] = [];
  let encoder: Encoder | undefined = encoderOf(changes.get(0));
  const walk = new MimeWalk(shapeOf(fields, false), {
    header: ({ ordinal }, raw, fields) => {
      const change = changes.get(ordinal);
      encoder = encoderOf(change);
      out.push(relabelled(raw, fields, change));
    },
    content: (_part, octets) => out.push(encoder?.push(octets) ?? octets),
    end: () => {
      if (encoder !== undefined) out.push(encoder.end());
      encoder = undefined;
    },
    frame: (_part, octets) => out.push(octets),
    longLine: () => {},
  });
  for await (const chunk of body()) {
    walk.push(chunk);
    const octets = Buffer.concat(out.splice(0)); // a copy: what lies in `out` are views of the chunk
    if (octets.length > 0) yield octets;
  }
  walk.end();
  if (walk.problem !== undefined) throw new Error(`the body changed since its survey: ${walk.problem}`);
  yield Buffer.concat(out);
}

function encoderOf(change: Change | undefined): Encoder | undefined {
  return change === undefined || change === "relabel" ? undefined : ENCODERS[change]();
}

/** With another Content-Transfer-Encoding, where the old one stood or as the last field. */
function relabelled(raw: Buffer, fields: readonly Field[], change: Change | undefined): Buffer {
  const word = change === "relabel" ? "7bit" : change;
  if (word !== "quoted-printable" && word !== "base64" && word !== "7bit") return raw; // it is encoded this way already
  const field = Buffer.from(`Content-Transfer-Encoding: ${word}\r\n`);
  const kept = fields.map(({ name, raw }) => (name === "content-transfer-encoding" ? field : raw));
  const end = fields.reduce((sum, { raw }) => sum + raw.length, 0);
  if (!kept.includes(field)) kept.push(field);
  return Buffer.concat([...kept, raw.subarray(end)]);
}
