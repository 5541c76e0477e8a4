/**
 * DKIM signatures over a finished header and the hash of its body (RFC 6376 §5): relaxed/relaxed, RSA and Ed25519. What
 * is signed stays as it is, octet for octet. Every signature is verified from the bytes that leave before it is given
 * out; there is never a silent pass without one. `l=` is never written: what follows a signed body must not look signed.
 */
import { type Field, fieldOf, fieldText, parseHeader } from "../header-block.ts";
import { type DkimKey, isSignatureOf, signOctets } from "./key.ts";
import { chosenFields, relaxedFields, withSignature } from "./signed-header.ts";
import { readTags, tagField, withoutBlanks } from "./tag-list.ts";

/** The message cannot be signed now, and must not leave as if it were. */
export class DkimSigningError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = "DkimSigningError";
  }
}

/** Named once more than they are there, so that none can be added (RFC 6376 §5.4, §8.15). */
const OVERSIGNED = [
  "From",
  "Subject",
  "Date",
  "To",
  "Cc",
  "Reply-To",
  "Message-ID",
  "MIME-Version",
  "Content-Type",
  "Content-Transfer-Encoding",
];
/** Signed where they are there (RFC 6376 §5.4.1, RFC 8058 §4); lists and forwarders may add others of them. */
const SIGNED = [
  "Sender",
  "In-Reply-To",
  "References",
  "Auto-Submitted",
  "Content-ID",
  "Content-Description",
  "Content-Disposition",
  "Content-Language",
  "Resent-Date",
  "Resent-From",
  "Resent-Sender",
  "Resent-To",
  "Resent-Cc",
  "Resent-Message-ID",
  "List-Id",
  "List-Help",
  "List-Unsubscribe",
  "List-Unsubscribe-Post",
  "List-Subscribe",
  "List-Post",
  "List-Owner",
  "List-Archive",
];

export interface SigningTimes {
  /** Epoch ms: `t=`. */
  readonly now: number;
  /** Epoch ms: `x=`; must outlive the longest wait in a queue, ours and that of others. */
  readonly expiresAt: number;
}

/**
 * The header with one DKIM-Signature per key on top, in the order of the keys. `bodyHash`: of createBodyHash, over the
 * body that belongs to it. Rejects with DkimSigningError.
 */
export async function signHeader(
  header: Buffer,
  bodyHash: Buffer,
  keys: readonly DkimKey[],
  times: SigningTimes,
): Promise<Buffer> {
  const fields = parseHeader(header);
  const names = signedNames(fields);
  const relaxed = relaxedFields(chosenFields(fields, names));
  const made = await Promise.all(keys.map((key) => signatureOf(key, { relaxed, names, bodyHash }, times)));
  const signed = Buffer.concat([...made, header]);
  const read = parseHeader(signed);
  // A header whose first line is a continuation would go on where our last signature ends.
  if (made.some((raw, index) => read[index]?.raw.equals(raw) !== true))
    throw new DkimSigningError("The header begins in the middle of a field, so it cannot be signed");
  await mustHold(read, bodyHash, keys);
  return signed;
}

interface Content {
  /** The fields of `names`, as they are signed. */
  readonly relaxed: string;
  readonly names: readonly string[];
  readonly bodyHash: Buffer;
}

async function signatureOf(key: DkimKey, content: Content, { now, expiresAt }: SigningTimes): Promise<Buffer> {
  const { relaxed, names, bodyHash } = content;
  const field = (signature: string): Buffer =>
    tagField("DKIM-Signature", [
      ["v", "1"],
      ["a", key.algorithm],
      ["c", "relaxed/relaxed"],
      ["d", key.domain],
      ["s", key.selector],
      ["t", seconds(now)],
      ["x", seconds(expiresAt)],
      ["h", names.join(":")],
      ["bh", bodyHash.toString("base64")],
      ["b", signature],
    ]);
  const octets = withSignature(relaxed, fieldOf(field("")));
  return field(await trySigning(key, octets));
}

async function trySigning(key: DkimKey, octets: Buffer): Promise<string> {
  try {
    return await signOctets(key, octets);
  } catch (error) {
    throw new DkimSigningError(`No DKIM signature could be made with the key ${nameOf(key)}`, error);
  }
}

/** Reads the finished header as a recipient does, and asks the public keys. */
async function mustHold(fields: readonly Field[], bodyHash: Buffer, keys: readonly DkimKey[]): Promise<void> {
  const known = new Map<string, string>();
  const relaxedOf = (list: string): string => {
    const relaxed = known.get(list) ?? relaxedFields(chosenFields(fields, list.split(":")));
    known.set(list, relaxed); // it is the same for all keys, and may be long
    return relaxed;
  };
  const answers = await Promise.all(keys.map((key, at) => holds(key, bodyHash, relaxedOf, fields[at])));
  const wrong = keys[answers.indexOf(false)];
  if (wrong === undefined) return;
  throw new DkimSigningError(`The DKIM signature of ${nameOf(wrong)} does not hold, so the message must not leave`);
}

async function holds(
  key: DkimKey,
  bodyHash: Buffer,
  relaxedOf: (list: string) => string,
  signature: Field | undefined,
): Promise<boolean> {
  if (signature === undefined) return false;
  const tags = readTags(fieldText(signature));
  const value = (name: string): string => withoutBlanks(tags?.get(name) ?? "");
  if (value("bh") !== bodyHash.toString("base64") || value("s") !== key.selector) return false;
  return isSignatureOf(key, withSignature(relaxedOf(value("h")), signature), value("b")).catch(() => false);
}

/** `h=` of a signature of ours. */
export function signedNames(fields: readonly Field[]): string[] {
  const counts = new Map<string, number>();
  for (const { name } of fields) counts.set(name.toLowerCase(), (counts.get(name.toLowerCase()) ?? 0) + 1);
  const each = (name: string, more: number): string[] =>
    Array.from({ length: (counts.get(name.toLowerCase()) ?? 0) + more }, () => name);
  return [...OVERSIGNED.flatMap((name) => each(name, 1)), ...SIGNED.flatMap((name) => each(name, 0))];
}

function seconds(ms: number): string {
  return String(Math.floor(ms / 1000));
}

function nameOf({ selector, domain }: DkimKey): string {
  return `${selector}._domainkey.${domain}`;
}
