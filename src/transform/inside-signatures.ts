/**
 * Signatures that hosts of the inside wrote on their way to us: DKIM (RFC 6376) and whole sets of ARC (RFC 8617) in a
 * name that nobody outside knows. They prove nothing there, and tell the name. A set goes whole, since its fields vouch
 * for each other.
 */
import { ARC_RESULTS, arcFields } from "./dkim/arc-fields.ts";
import { type Field, fieldText } from "./header-block.ts";
import { authservId, type OwnSide, tellsOfInside } from "./own-side.ts";
import { signerOf } from "./own-signatures.ts";

/** `publicSigners`: names, lower case, whose signature in this message holds, so that the DNS of all knows them. */
export function insideSignatures(
  fields: readonly Field[],
  own: OwnSide,
  publicSigners: ReadonlySet<string>,
): ReadonlySet<Field> {
  const isInside = (name: string | undefined): boolean =>
    name !== undefined && tellsOfInside(name, own) && !publicSigners.has(name);
  const dkim = fields.filter((field) => field.name.toLowerCase() === "dkim-signature" && isInside(signerOf(field)));
  const arc = arcFields(fields);
  const telling = arc.filter(({ field }) => isInside(isResults(field) ? writerOf(field) : signerOf(field)));
  const instances = new Set(telling.map(({ instance }) => instance).filter((instance) => instance > 0));
  const sets = arc.filter((one) => instances.has(one.instance) || telling.includes(one));
  return new Set([...dkim, ...sets.map(({ field }) => field)]);
}

function isResults({ name }: Field): boolean {
  return name.toLowerCase() === ARC_RESULTS;
}

/** RFC 8617 §4.1.1: `i=1; authserv-id; …` */
function writerOf(results: Field): string | undefined {
  return authservId(fieldText(results).replace(/^[^;]*;/, ""))?.toLowerCase();
}
