/**
 * Whether a certificate leads to a trusted root (RFC 5280 §6.1): signatures, dates, who may issue, and for what.
 * Pure. What restricts a chain in a way that is not understood here (name constraints among it) breaks it; a
 * signature with SHA-1 or MD5 is none.
 */
import { nameText } from "../../mail/certificate.ts";
import { inside } from "../../mail/der.ts";
import { isSignedBy, signedData } from "../../mail/signed-data.ts";
import { type Candidate, KEY_USAGE } from "./candidate.ts";

export interface Trust {
  readonly roots: readonly Candidate[];
  /** What may lie between; where it comes from does not matter. */
  readonly intermediates: readonly Candidate[];
  /** Epoch ms */
  readonly now: number;
}

export type Chain =
  /** The certificate first, the root last. */
  | { readonly kind: "trusted"; readonly path: readonly Candidate[] }
  /** `why` completes "the certificate …". */
  | { readonly kind: "untrusted"; readonly why: string };

const DEEPEST = 8;
const MOST_SIGNATURES = 64;
export const EMAIL_PROTECTION = "1.3.6.1.5.5.7.3.4";
export const ANY_PURPOSE = "2.5.29.37.0";

interface Search extends Trust {
  left: number;
  /** What stood in the way; the first is told. */
  why: string | undefined;
}

export async function findChain(certificate: Candidate, trust: Trust): Promise<Chain> {
  const search: Search = { ...trust, left: MOST_SIGNATURES, why: undefined };
  if (trust.roots.some((root) => root.der.equals(certificate.der))) return { kind: "trusted", path: [certificate] };
  const path = await extend([certificate], search);
  if (path !== undefined) return { kind: "trusted", path };
  return {
    kind: "untrusted",
    why: search.why ?? `is of ${issuerOf(certificate)}, whom nobody trusted here vouches for`,
  };
}

/** Depth first; roots before intermediates, so that the shortest way is found early. */
async function extend(path: readonly Candidate[], search: Search): Promise<readonly Candidate[] | undefined> {
  const last = path.at(-1) as Candidate;
  for (const [isRoot, sources] of [
    [true, search.roots],
    [false, search.intermediates],
  ] as const) {
    for (const issuer of sources) {
      if (!isNamed(issuer, last) || path.some(({ der }) => der.equals(issuer.der))) continue;
      const why = obstacle(issuer, path, { isRoot, now: search.now }) ?? (await unsigned(last, issuer, search));
      if (why !== undefined) {
        search.why ??= why;
        continue;
      }
      const longer = [...path, issuer];
      if (isRoot) return longer;
      const found = longer.length < DEEPEST ? await extend(longer, search) : undefined;
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

function isNamed(issuer: Candidate, { x509 }: Candidate): boolean {
  return issuer.x509.subject === x509.issuer;
}

function obstacle(
  issuer: Candidate,
  below: readonly Candidate[],
  { isRoot, now }: { readonly isRoot: boolean; readonly now: number },
): string | undefined {
  const { subject, usage, purposes } = issuer;
  // First, for Node calls nobody a CA who may not sign certificates.
  if (usage?.has(KEY_USAGE.keyCertSign) === false)
    return `was issued by ${subject}, whose key may not sign certificates`;
  if (!issuer.authority) return `was issued by ${subject}, which is no CA`;
  if (now > issuer.notAfter) return `was issued by ${subject}, which ended on ${day(issuer.notAfter)}`;
  if (now < issuer.notBefore) return `was issued by ${subject}, which is not valid before ${day(issuer.notBefore)}`;
  // Issued by themselves, as at a change of keys, they do not count (RFC 5280 §4.2.1.9).
  const between = below.slice(1).filter(({ x509 }) => x509.subject !== x509.issuer).length;
  if (between > issuer.pathLength) return `stands further below ${subject} than that CA permits`;
  if (!issuer.understood) return `was issued by ${subject}, whose restrictions are not understood here`;
  if (isWeak(issuer)) return `was issued by ${subject}, whose key is too short`;
  const forMail = purposes === undefined || purposes.includes(EMAIL_PROTECTION) || purposes.includes(ANY_PURPOSE);
  return isRoot || forMail ? undefined : `was issued by ${subject}, which is not for e-mail`;
}

async function unsigned(certificate: Candidate, issuer: Candidate, search: Search): Promise<string | undefined> {
  if (search.left-- <= 0) return "has too many possible issuers";
  // Key identifiers tell CAs of one name apart.
  if (!certificate.x509.checkIssued(issuer.x509)) return `is of another ${issuer.subject} than the one known here`;
  const data = signedData(inside(certificate.der));
  if (data !== undefined && (await isSignedBy(data, issuer.key))) return undefined;
  return `is not signed by ${issuer.subject}, or with a hash that proves nothing any more`;
}

export function isWeak({ key }: Pick<Candidate, "key">): boolean {
  const { modulusLength } = key.asymmetricKeyDetails ?? {};
  return modulusLength !== undefined && modulusLength < 2048;
}

function issuerOf({ x509 }: Candidate): string {
  return nameText(x509.issuer) || "nobody it names";
}

export function day(at: number): string {
  return new Date(at).toISOString().slice(0, 10);
}
