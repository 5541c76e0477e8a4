/** The fields of ARC sets (RFC 8617 §4.1), each with the instance it says it belongs to. Verifies nothing. */
import { type Field, fieldText } from "../header-block.ts";
import { readTags } from "./tag-list.ts";

export const ARC_RESULTS = "arc-authentication-results";
const NAMES: readonly string[] = [ARC_RESULTS, "arc-message-signature", "arc-seal"];

export interface ArcField {
  readonly field: Field;
  /** 0: none that can be read. */
  readonly instance: number;
}

export function arcFields(fields: readonly Field[]): readonly ArcField[] {
  return fields
    .filter(({ name }) => NAMES.includes(name.toLowerCase()))
    .map((field) => ({ field, instance: instanceOf(field) }));
}

function instanceOf(field: Field): number {
  const text = fieldText(field);
  const value =
    field.name.toLowerCase() === ARC_RESULTS
      ? /^[ \t]*i[ \t]*=[ \t]*(\d{1,3})(?!\d)/.exec(text)?.[1]
      : readTags(text)?.get("i");
  return value !== undefined && /^\d{1,3}$/.test(value) ? Number(value) : 0;
}
