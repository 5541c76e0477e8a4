/**
 * What a signature over header fields signs (RFC 6376 §3.4.2, §3.7, §5.4.2): the fields that `h=` names, in relaxed
 * form, then the signature field itself without the value of `b=`. One function for signing and verifying, so that
 * both mean the same octets. Octets are carried as latin1 text; linear in the length of what is read.
 */
import { type Field, fieldText } from "../header-block.ts";

/** `name:value` without the line end; lower-case name, one blank for each run, none at the ends of the value. */
export function relaxedField(field: Field): string {
  return `${field.name.toLowerCase()}:${squeezed(fieldText(field))}`;
}

/** The whole field that `b=` has an empty value in. It must be the last tag that is called so. */
export function withoutSignature(field: Field): string {
  const text = relaxedField(field);
  const tags = text.split(";");
  const at = tags.findLastIndex((tag, index) => /^ ?b ?=/.test(index === 0 ? tag.slice(tag.indexOf(":") + 1) : tag));
  const tag = tags[at];
  if (tag === undefined) return text;
  return tags.with(at, tag.slice(0, tag.indexOf("=") + 1)).join(";");
}

/**
 * The fields of a list of names, each name taking the lowest field that is not taken yet (§5.4.2). A name without one
 * stands for "there is none", and is nothing here.
 */
export function chosenFields(fields: readonly Field[], names: readonly string[]): Field[] {
  const left = new Map<string, Field[]>();
  for (const field of fields) {
    const name = field.name.toLowerCase();
    const same = left.get(name);
    if (same === undefined) left.set(name, [field]);
    else same.push(field);
  }
  return names.flatMap((name) => left.get(name.toLowerCase())?.pop() ?? []);
}

/** The octets that are signed. */
export function signedOctets(fields: readonly Field[], names: readonly string[], signature: Field): Buffer {
  return withSignature(relaxedFields(chosenFields(fields, names)), signature);
}

export function relaxedFields(fields: readonly Field[]): string {
  return fields.map((field) => `${relaxedField(field)}\r\n`).join("");
}

/** Of relaxed fields and the signature over them. */
export function withSignature(relaxed: string, signature: Field): Buffer {
  return Buffer.from(relaxed + withoutSignature(signature), "latin1");
}

function squeezed(text: string): string {
  const one = text.replace(/[ \t]+/g, " ");
  return one.slice(one.startsWith(" ") ? 1 : 0, one.length > 1 && one.endsWith(" ") ? -1 : undefined);
}
