/**
 * Tells ahead of time, by steps of `alarms.certificate_days`, that a certificate, pin or key which the configuration
 * names is about to end, and when it has; and clears the alarm once a reload has replaced it. It only tells: what
 * has ended is refused, or no longer counted, by those who use it. exceptions.ts tells so of exceptions and report mode.
 */
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";

/** Something that ends by itself. */
export interface Dated {
  /** As the subject of a sentence, in the singular: `The certificate of partner acme, CN=…,`. */
  readonly what: string;
  /** Id of the partner file it is written in; null for our own. */
  readonly partner: string | null;
  /** Epoch ms; the first instant at which it is of no use. */
  readonly endsAt: number;
  /** It ends with a whole day, the one before `endsAt`. */
  readonly endsWithDay?: true;
  readonly file?: string;
  /** What to do about it, as the end of a sentence. Default: renew it. */
  readonly remedy?: string;
}

export interface CertificateWatchDeps {
  readonly clock: Pick<Clock, "now" | "after">;
  readonly emit: Emit;
  readonly dated: () => readonly Dated[];
  /** Days before the end at which a word is due, in any order. */
  readonly days: () => readonly number[];
  /** Of its alarms, before the end and after it. Default: those of certificates. */
  readonly codes?: Codes;
}

export interface Codes {
  readonly ending: string;
  readonly ended: string;
}

export interface CertificateWatch {
  /** Looks now, and by itself from then on: when the next step is due, at least every twelve hours. */
  readonly look: () => void;
  readonly stop: () => void;
}

const CERTIFICATES: Codes = { ending: "certificate-expiring", ended: "certificate-expired" };

interface Raised {
  readonly one: Dated;
  readonly code: string;
  /** The step last told, in days; 0 for the end. */
  readonly step: number;
  readonly since: string;
}

const DAY_MS = 86_400_000;
const LONGEST_PAUSE_MS = DAY_MS / 2;

export function createCertificateWatch(deps: CertificateWatchDeps): CertificateWatch {
  const { clock, emit, dated, days, codes = CERTIFICATES } = deps;
  /** By what it is; a renewed one is another. */
  let raised = new Map<string, Raised>();
  let cancel: () => void = () => undefined;
  const look = (): void => {
    cancel();
    const now = clock.now();
    const current = new Map<string, Raised>();
    const all = dated();
    for (const one of all) {
      const key = JSON.stringify([one.what, one.partner, one.endsAt, one.file]);
      const due = dueNow(one, { now, days: days(), codes });
      if (due !== undefined && !current.has(key)) current.set(key, tell(one, due, raised.get(key)));
    }
    for (const [key, known] of raised) if (!current.has(key)) clear(known, `${subject(known.one)} is in use no longer`);
    raised = current;
    const pauses = all.flatMap(({ endsAt }) => [0, ...days()].map((step) => endsAt - step * DAY_MS - now));
    cancel = clock.after(Math.min(LONGEST_PAUSE_MS, ...pauses.filter((pause) => pause > 0)), look);
  };

  const tell = (one: Dated, due: Pick<Raised, "code" | "step">, known: Raised | undefined): Raised => {
    if (known !== undefined && known.code === due.code && known.step <= due.step) return known;
    if (known !== undefined && known.code !== due.code) clear(known, `${subject(one)} has ended`);
    const since = known?.code === due.code ? known.since : iso(clock.now());
    const remedy = sentence(one, clock.now());
    emit("alarm", { code: due.code, partner: one.partner, state: "raised", since, until: iso(one.endsAt), remedy });
    return { one, ...due, since };
  };

  const clear = ({ one, code, since }: Raised, remedy: string): void =>
    emit("alarm", { code, partner: one.partner, state: "cleared", since, until: iso(clock.now()), remedy });

  return { look, stop: () => cancel() };
}

function dueNow(
  { endsAt }: Dated,
  { now, days, codes }: { readonly now: number; readonly days: readonly number[]; readonly codes: Codes },
): Pick<Raised, "code" | "step"> | undefined {
  if (now >= endsAt) return { code: codes.ended, step: 0 };
  const reached = days.filter((step) => step > 0 && now >= endsAt - step * DAY_MS);
  return reached.length === 0 ? undefined : { code: codes.ending, step: Math.min(...reached) };
}

function sentence(one: Dated, now: number): string {
  const remedy = one.remedy ?? "renew it; the gateway takes the new file without a restart";
  const date = iso(one.endsWithDay === true ? one.endsAt - 1 : one.endsAt).slice(0, 10);
  if (now >= one.endsAt) return `${subject(one)} ended on ${date}: ${remedy}`;
  const left = Math.ceil((one.endsAt - now) / DAY_MS);
  return `${subject(one)} ends on ${date}, in ${left} ${left === 1 ? "day" : "days"}: ${remedy}`;
}

function subject({ what, file }: Dated): string {
  return file === undefined ? what : `${what} (${file})`;
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
