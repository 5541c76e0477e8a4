/**
 * Adds a set of ours to the ARC chain of forwarded mail (RFC 8617 §5.1). Our own writing, not mailauth's: that signs
 * on the event loop, reads the PEM anew each time and would hash the body once more. Every signature is verified
 * before it is given out.
 */
import { type Field, fieldOf, parseHeader } from "../header-block.ts";
import type { ArcChain } from "./arc-chain.ts";
import { arcFields } from "./arc-fields.ts";
import { type DkimKey, isSignatureOf, signOctets } from "./key.ts";
import { DkimSigningError, signedNames } from "./sign.ts";
import { relaxedFields, signedOctets, withSignature } from "./signed-header.ts";
import { tagField } from "./tag-list.ts";

export interface ArcSealing {
  readonly chain: ArcChain;
  readonly key: DkimKey;
  /** authserv-id of the results: our hostname. */
  readonly hostname: string;
  /** Epoch ms */
  readonly now: number;
}

/**
 * The header with ARC-Seal, ARC-Message-Signature and ARC-Authentication-Results on top. Its ARC fields must be those
 * that `chain` was read from. Rejects with DkimSigningError.
 */
export async function sealHeader(header: Buffer, bodyHash: Buffer, sealing: ArcSealing): Promise<Buffer> {
  const { chain, key, now } = sealing;
  const fields = parseHeader(header);
  const results = resultsField(sealing);
  const names = [...signedNames(fields), ...fields.filter(isDkimSignature).map(() => "DKIM-Signature")];
  const common = [
    ["i", String(chain.next)],
    ["a", key.algorithm],
  ] as const;
  const where = [
    ["d", key.domain],
    ["s", key.selector],
  ] as const;
  const at = String(Math.floor(now / 1000));
  const message = await signed(
    key,
    (b) =>
      tagField("ARC-Message-Signature", [
        ...common,
        ["c", "relaxed/relaxed"],
        ...where,
        ["t", at],
        ["h", names.join(":")],
        ["bh", bodyHash.toString("base64")],
        ["b", b],
      ]),
    (field) => signedOctets(fields, names, field),
  );
  const sealed = [...earlierSets(header, chain), fieldOf(results), fieldOf(message)];
  const seal = await signed(
    key,
    (b) => tagField("ARC-Seal", [...common, ["t", at], ["cv", chain.status], ...where, ["b", b]]),
    (field) => withSignature(relaxedFields(sealed), field),
  );
  const whole = Buffer.concat([seal, message, results, header]);
  // A header whose first line is a continuation would go on where our last field ends.
  if (parseHeader(whole)[2]?.raw.equals(results) === true) return whole;
  throw new DkimSigningError("The header begins in the middle of a field, so it cannot be sealed");
}

/** Of a chain that has failed nothing is sealed but our own set (RFC 8617 §5.1.2). */
function earlierSets(header: Buffer, { status, next }: ArcChain): Field[] {
  if (status !== "pass") return [];
  const all = arcFields(parseHeader(header));
  const order = ["arc-authentication-results", "arc-message-signature", "arc-seal"];
  return Array.from({ length: next - 1 }, (_, index) => index + 1).flatMap((instance) =>
    order.flatMap((name) =>
      all.filter((one) => one.instance === instance && one.field.name.toLowerCase() === name).map(({ field }) => field),
    ),
  );
}

async function signed(key: DkimKey, write: (b: string) => Buffer, octetsOf: (field: Field) => Buffer): Promise<Buffer> {
  const named = `${key.selector}._domainkey.${key.domain}`;
  const octets = octetsOf(fieldOf(write("")));
  const signature = await signOctets(key, octets).catch((error: unknown) => {
    throw new DkimSigningError(`Nothing could be sealed with the key ${named}`, error);
  });
  const made = write(signature);
  if (!(await isSignatureOf(key, octetsOf(fieldOf(made)), signature).catch(() => false)))
    throw new DkimSigningError(`The ARC signature of ${named} does not hold, so the message must not leave`);
  return made;
}

function resultsField({ chain, hostname }: ArcSealing): Buffer {
  const found = chain.results.length === 0 ? ["dkim=none"] : chain.results;
  const parts = [` i=${chain.next}; ${hostname}`, ...found, `arc=${chain.status}`];
  return Buffer.from(`ARC-Authentication-Results:${parts.join(";\r\n ")}\r\n`, "latin1");
}

function isDkimSignature({ name }: Field): boolean {
  return name.toLowerCase() === "dkim-signature";
}
