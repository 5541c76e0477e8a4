/**
 * What leaves of a message's header (contract section 5): fields that tell of the inside are taken out, replaced or told
 * as kept, and our Received field is put on top. What is not named here leaves octet for octet and in its order.
 */
import type { HeaderPolicy } from "../mail/treatment.ts";
import { anonymizeReceived } from "./anonymize-received.ts";
import { type Field, fieldText, formatHeader, parseHeader } from "./header-block.ts";
import { insideSignatures } from "./inside-signatures.ts";
import { BLIND, ONLY_OF_OWN_HOSTS, removes } from "./leaking-fields.ts";
import type { MessageIds } from "./message-ids.ts";
import { countOwnReceived, isOwnAuthenticationResult, isOwnSpfResult, type OwnSide } from "./own-side.ts";
import { coveredFields, isSignatureOfOwnSide } from "./own-signatures.ts";
import { createIdRewriter, isIdField } from "./rewrite-ids.ts";
import { withoutTags } from "./subject-tag.ts";

export interface EditContext {
  readonly own: OwnSide;
  /** False: it only passes through, and nothing but our Received field is added. */
  readonly isOurs: boolean;
  /** Names, lower case, that another domain's valid DKIM signature covers: they stay. */
  readonly covered: ReadonlySet<string>;
  /** `d=`, lower case, of other signatures that are valid: of a name below our domains, those stay. */
  readonly publicSigners: ReadonlySet<string>;
  /** Our field, as `receivedField` writes it. */
  readonly received: Buffer;
  /** Used with `messageId: "rewrite"` only. */
  readonly messageIds: MessageIds;
}

export interface HeaderEdit {
  readonly header: Buffer;
  readonly removed: readonly Field[];
  /** Anonymised Received fields and rewritten ids, as they were and as they are. */
  readonly changed: readonly { readonly name: string; readonly before: Buffer; readonly after: Buffer }[];
  /** What should have gone, and why it did not. */
  readonly kept: readonly { readonly name: string; readonly why: string }[];
}

/** undefined: the field goes. The same octets: it stays. */
type Edited = Buffer | undefined;

export function editHeader(header: Buffer, policy: HeaderPolicy, context: EditContext): HeaderEdit {
  const { received, isOurs, own, covered } = context;
  const fields = parseHeader(header);
  if (!isOurs) return { header: formatHeader([{ raw: received }, ...fields]), removed: [], changed: [], kept: [] };
  const edit = fieldEditor(fields, policy, context);
  const kept = new Map<string, { name: string; why: string }>();
  const edits = fields.map((field) => {
    const after = edit(field);
    const name = field.name.toLowerCase();
    if (after === field.raw || BLIND.has(name) || !covered.has(name)) return { field, after };
    kept.set(name, { name: field.name, why: "a valid DKIM signature of another domain covers it" });
    return { field, after: field.raw };
  });
  const final = withoutBroken(edits, own);
  return {
    header: formatHeader([
      { raw: received },
      ...final.flatMap(({ after }) => (after === undefined ? [] : [{ raw: after }])),
    ]),
    removed: final.flatMap(({ field, after }) => (after === undefined ? [field] : [])),
    changed: final.flatMap(({ field: { name, raw }, after }) =>
      after === undefined || after === raw ? [] : [{ name, before: raw, after }],
    ),
    kept: [...kept.values()],
  };
}

interface Edit {
  readonly field: Field;
  readonly after: Edited;
}

/** What the policy says of each field, in the order of the block. */
function fieldEditor(fields: readonly Field[], policy: HeaderPolicy, context: EditContext): (field: Field) => Edited {
  const { own, messageIds, publicSigners } = context;
  const isListed = removes(policy.remove);
  const inside = insideReceived(fields, own);
  const signatures = keepsAll(policy) ? new Set() : insideSignatures(fields, own, publicSigners);
  const rewrite = createIdRewriter(own, messageIds);
  return (field) => {
    const name = field.name.toLowerCase();
    if (BLIND.has(name) || signatures.has(field)) return undefined;
    if (isListed(name) && (!ONLY_OF_OWN_HOSTS.has(name) || isOfOwnHost(name, fieldText(field), own))) return undefined;
    if (inside.has(field)) {
      if (policy.received === "strip") return undefined;
      return policy.received === "keep" ? field.raw : anonymizeReceived(fieldText(field));
    }
    if (name === "subject" && policy.subjectTags !== undefined) return withoutTags(field, policy.subjectTags);
    return policy.messageId === "rewrite" && isIdField(name) ? rewrite(field.raw) : field.raw;
  };
}

function keepsAll({ received, remove, messageId }: HeaderPolicy): boolean {
  return received === "keep" && remove.length === 0 && messageId === "keep";
}

/** The Received fields of our own side. */
function insideReceived(fields: readonly Field[], own: OwnSide): ReadonlySet<Field> {
  const received = fields.filter(({ name }) => name.toLowerCase() === "received");
  return new Set(received.slice(0, countOwnReceived(received.map(fieldText), own)));
}

function isOfOwnHost(name: string, value: string, own: OwnSide): boolean {
  return name === "received-spf" ? isOwnSpfResult(value, own) : isOwnAuthenticationResult(value, own);
}

/** A signature of our side over a field that was edited can only fail. One over other fields still holds, and stays. */
function withoutBroken(edits: readonly Edit[], own: OwnSide): readonly Edit[] {
  const edited = new Set(
    edits.filter(({ field, after }) => after !== field.raw).map(({ field }) => field.name.toLowerCase()),
  );
  return edits.map((edit) => {
    const isBroken =
      isSignatureOfOwnSide(edit.field, own) && coveredFields(edit.field).some((name) => edited.has(name));
    return isBroken ? { ...edit, after: undefined } : edit;
  });
}
