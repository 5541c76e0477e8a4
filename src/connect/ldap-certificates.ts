/**
 * Certificates of a mailbox from a directory: as they stand there (RFC 4523 §2.1), or within the signed data that
 * Outlook publishes (RFC 2798 §2.8). Answers are kept a while. Judges none of them; a directory that cannot be asked
 * is not one that knows of nothing.
 */
import { formatDomain, type Mailbox, mailboxKey } from "../mail/mailbox.ts";
import type { LdapCertificateSettings } from "../mail/smime-settings.ts";
import type { Clock } from "../runtime/clock.ts";
import { createBoundedCache } from "./bounded-cache.ts";
import { inside, TAG } from "../mail/der.ts";
import type { LdapSearch } from "./ldap-search.ts";

export type LdapCertificates =
  /** DER; intermediates may be among them. Empty: the directory knows of none. */
  | { readonly kind: "found"; readonly certificates: readonly Buffer[] }
  | { readonly kind: "failed"; readonly detail: string };

/** Never rejects. */
export type AskDirectory = (settings: LdapCertificateSettings, mailbox: Mailbox) => Promise<LdapCertificates>;

export interface AskDirectoryDeps {
  readonly clock: Pick<Clock, "now">;
  readonly search: LdapSearch;
}

const FAILURE_MS = 30_000;
const MOST_KEPT_OCTETS = 8 * 1_048_576;
const MOST_CERTIFICATES = 20;
const LARGEST_CERTIFICATE = 65_536;

export function createAskDirectory({ clock, search }: AskDirectoryDeps): AskDirectory {
  const kept = createBoundedCache<LdapCertificates>(clock, MOST_KEPT_OCTETS, sizeOf);
  let keptFor: LdapCertificateSettings | undefined;
  return async (settings, mailbox) => {
    if (keptFor !== settings) kept.clear();
    keptFor = settings;
    const key = mailboxKey(mailbox);
    const known = kept.get(key);
    if (known !== undefined) return known;
    const { base, filter, attributes, cacheMs } = settings;
    const result = await search(settings, { base, filter: filled(filter, mailbox), attributes });
    const answer: LdapCertificates =
      result.kind === "failed"
        ? result
        : { kind: "found", certificates: result.entries.flat().flatMap(certificatesIn).slice(0, MOST_CERTIFICATES) };
    // A reload during the look-up has other settings: what was asked of the old ones is not kept for the new.
    const holds = answer.kind === "failed" ? Math.min(FAILURE_MS, cacheMs) : cacheMs;
    if (keptFor === settings) kept.put(key, answer, clock.now() + holds);
    return answer;
  };
}

/** `{address}` and `{domain}` of a filter, by the mailbox. */
export function filled(filter: string, mailbox: Mailbox): string {
  const values = { address: mailboxKey(mailbox), domain: formatDomain(mailbox.domain) };
  return filter.replaceAll(/\{(address|domain)\}/g, (_, name: keyof typeof values) => escaped(values[name]));
}

/** RFC 4515 §3. Other octets stand for themselves: ldapts reads an escape as a character, not as an octet. */
function escaped(value: string): string {
  return value.replaceAll(
    /[\x00-\x1f*()\\\x7f]/g,
    (character) => `\\${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
}

function certificatesIn(value: Buffer): readonly Buffer[] {
  return certificatesOf(value).filter(({ length }) => length <= LARGEST_CERTIFICATE);
}

/** A certificate begins with its signed part, signed data with its type (RFC 5652 §3). */
function certificatesOf(value: Buffer): readonly Buffer[] {
  const [first, content] = inside(value) ?? [];
  if (first?.tag === TAG.sequence) return [value];
  if (first?.tag !== TAG.oid || content === undefined) return [];
  const signed = inside(content.content) ?? [];
  // RFC 5652 §5.1: `[0] certificates` after version, digest algorithms and content.
  const listed = signed.find(({ tag }) => tag === 0xa0);
  return (listed === undefined ? [] : (inside(listed.whole, 0xa0) ?? [])).flatMap(({ tag, whole }) =>
    tag === TAG.sequence ? [whole] : [],
  );
}

function sizeOf(answer: LdapCertificates): number {
  return answer.kind === "failed" ? 100 : answer.certificates.reduce((sum, { length }) => sum + length, 100);
}
