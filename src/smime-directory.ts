/**
 * Whose certificate: for one recipient, the certificates that mail is encrypted for, from all sources in order: what
 * was placed by hand for the address; what was harvested or stands in the directory for it; then those of the whole
 * domain. What cannot be found out is "unknown", never "none". Answers hold for a minute, for mail has many recipients.
 */
import { createBoundedCache } from "./connect/bounded-cache.ts";
import type { AskDirectory } from "./connect/ldap-certificates.ts";
import type { CheckRevocation } from "./connect/revocation.ts";
import { formatMailbox, type Mailbox, mailboxKey } from "./mail/mailbox.ts";
import type { SmimeSettings } from "./mail/smime-settings.ts";
import { createOutageAlarms, type OutageAlarms } from "./outage-alarms.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import { outside, smimeSources, type SmimeSources } from "./smime-sources.ts";
import { judgeTrust } from "./smime-trust.ts";
import { type Candidate, readCandidate } from "./transform/smime/candidate.ts";
import { type Offered, rankCertificates, type Rejected } from "./transform/smime/choose-certificate.ts";

export type CertificatesFor =
  /** At least one; encrypt for each of them. `from`: where the first was found. */
  | { readonly kind: "found"; readonly certificates: readonly Candidate[]; readonly from: string }
  /** `why`: one sentence without full stop, for the 5.7.5 reply. */
  | { readonly kind: "none"; readonly why: string }
  /** The same, for 451 4.7.5: it may be known later. */
  | { readonly kind: "unknown"; readonly why: string };

export interface SmimeDirectory {
  /** `now`: epoch ms. Never rejects, and answers in half a minute: asked for all at once, so does a whole message. */
  readonly certificatesFor: (mailbox: Mailbox, now: number) => Promise<CertificatesFor>;
}

export interface SmimeDirectoryDeps {
  readonly clock: Pick<Clock, "now" | "sleep">;
  /** Those in force; another object after a reload. */
  readonly settings: () => SmimeSettings;
  readonly askDirectory: AskDirectory;
  readonly checkRevocation: CheckRevocation;
  readonly emit: Emit;
}

const KEPT_MS = 60_000;
const LONGEST_MS = 30_000;
const MOST_KEPT = 5_000;

export function createSmimeDirectory(deps: SmimeDirectoryDeps): SmimeDirectory {
  const { clock, emit } = deps;
  const kept = createBoundedCache<Promise<CertificatesFor>>(clock, MOST_KEPT);
  const alarms = {
    revocation: createOutageAlarms({ clock, emit, code: "revocation-unreachable" }),
    directory: createOutageAlarms({ clock, emit, code: "certificate-directory-unreachable" }),
  };
  let current: { readonly settings: SmimeSettings; readonly sources: SmimeSources } | undefined;
  const prepared = (): NonNullable<typeof current> => {
    const settings = deps.settings();
    if (current?.settings === settings) return current;
    kept.clear();
    return (current = { settings, sources: smimeSources(settings) });
  };
  const look = (mailbox: Mailbox, now: number): Promise<CertificatesFor> => {
    const { settings, sources } = prepared();
    const key = mailboxKey(mailbox);
    const known = kept.get(key);
    if (known !== undefined) return known;
    const found = seek({ ...deps, settings, sources, alarms, mailbox, now });
    kept.put(key, found, clock.now() + KEPT_MS);
    found.catch(() => kept.get(key) === found && kept.drop(key)); // a defect is no answer
    return found;
  };
  return {
    certificatesFor: async (mailbox, now) => {
      const ended = new AbortController();
      const late = clock
        .sleep(LONGEST_MS, ended.signal)
        .then(() => unknownNow(mailbox, ["the look-up takes too long"]));
      try {
        return await Promise.race([look(mailbox, now), late]);
      } catch (error) {
        const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
        emit("error", { kind: "smime-directory", detail });
        return unknownNow(mailbox, ["the look-up failed"]);
      } finally {
        ended.abort();
      }
    },
  };
}

interface Seeking extends Omit<SmimeDirectoryDeps, "settings"> {
  readonly settings: SmimeSettings;
  readonly sources: SmimeSources;
  readonly alarms: { readonly revocation: OutageAlarms; readonly directory: OutageAlarms };
  readonly mailbox: Mailbox;
  readonly now: number;
}

/** What was seen on the way, for when nothing is found. */
interface Notes {
  readonly rejected: Rejected[];
  readonly unknown: string[];
}

async function seek(seeking: Seeking): Promise<CertificatesFor> {
  const { sources, mailbox, now } = seeking;
  const notes: Notes = { rejected: [], unknown: [] };
  const byHand = rankCertificates(sources.byHand, mailbox, now);
  notes.rejected.push(...byHand.rejected);
  const first = await holding(byHand.address, seeking, notes);
  if (first !== undefined) return first;
  const listed = await fromDirectory(seeking, notes);
  const others = rankCertificates([...sources.harvested, ...listed], mailbox, now);
  notes.rejected.push(...others.rejected);
  const between = listed.map(({ certificate }) => certificate);
  return (
    (await holding(others.address, seeking, notes, between)) ??
    (await holding(byHand.domain, seeking, notes)) ??
    (await holding(others.domain, seeking, notes, between)) ??
    nothing(mailbox, notes)
  );
}

/** Of each group the first that holds; undefined when none of any does. */
async function holding(
  groups: readonly (readonly Offered[])[],
  seeking: Seeking,
  { rejected, unknown }: Notes,
  between: readonly Candidate[] = [],
): Promise<CertificatesFor | undefined> {
  const { sources, settings, alarms, checkRevocation, now } = seeking;
  const trust = { roots: sources.roots, intermediates: [...sources.intermediates, ...between], now };
  const found = await Promise.all(
    groups.map(async (group) => {
      for (const one of group) {
        const deps = { checkRevocation, outages: alarms.revocation };
        const verdict = await judgeTrust(one, trust, settings.revocation, deps);
        if (verdict.kind === "holds") return [one];
        if (verdict.kind === "rejected") rejected.push({ source: one.source, why: verdict.why });
        else unknown.push(`the certificate from ${one.source} ${verdict.why}`);
      }
      return [];
    }),
  );
  const chosen = found.flat();
  const from = chosen[0]?.source;
  return from === undefined
    ? undefined
    : { kind: "found", certificates: chosen.map(({ certificate }) => certificate), from };
}

const DIRECTORY = "the directory";

async function fromDirectory(seeking: Seeking, { rejected, unknown }: Notes): Promise<readonly Offered[]> {
  const { settings, mailbox, askDirectory, alarms } = seeking;
  const { ldap, revocation } = settings;
  if (ldap === null) return [];
  const answer = await askDirectory(ldap, mailbox);
  if (answer.kind === "found") {
    alarms.directory.up(ldap.url, `The directory ${ldap.url} answers again`);
    return answer.certificates.flatMap((der) => readCandidate(der) ?? []).map((one) => outside(one, DIRECTORY));
  }
  const without = revocation.unreachable === "refuse";
  const effect = without ? "mail goes without them" : "mail to those it may know is not accepted until it does";
  const detail = `The directory ${ldap.url} does not give certificates (${answer.detail})`;
  alarms.directory.down(ldap.url, `${detail}; ${effect}: start it, or correct smime.ldap`);
  // Whether there is a certificate is not known, and unknown is never no. `refuse` alone does without.
  if (without) rejected.push({ source: DIRECTORY, why: "cannot be had now" });
  else unknown.push(`${DIRECTORY} of certificates does not answer`);
  return [];
}

const MOST_REASONS = 3;
const LONGEST = 400;

function nothing(mailbox: Mailbox, { rejected, unknown }: Notes): CertificatesFor {
  const whom = formatMailbox(mailbox);
  if (unknown.length > 0) return unknownNow(mailbox, unknown);
  if (rejected.length === 0) return { kind: "none", why: text(`No certificate of ${whom} is known`, []) };
  const reasons = rejected.map(({ source, why }) => `the one from ${source} ${why}`);
  return { kind: "none", why: text(`No certificate of ${whom} can be used: `, reasons) };
}

function unknownNow(mailbox: Mailbox, reasons: readonly string[]): CertificatesFor {
  const whom = formatMailbox(mailbox);
  return { kind: "unknown", why: text(`It is not known now whether mail to ${whom} can be encrypted: `, reasons) };
}

/** It goes into a reply, and holds words of others. */
function text(sentence: string, reasons: readonly string[]): string {
  return `${sentence}${reasons.slice(0, MOST_REASONS).join("; ")}`.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, LONGEST);
}
