/**
 * Compares each DKIM key that signs, or will, with what DNS publishes: at start, after a reload, every six hours, and
 * for `doctor`. A key whose record is wrong makes every signature worthless, which nobody here would notice. It only
 * tells; nothing waits for it, and a look-up that fails changes nothing.
 */
import type { DkimKeySettings } from "./mail/treatment.ts";
import { type DomainName, parseDomainName } from "./mail/domain-name.ts";
import type { TxtLookup } from "./connect/mta-sts-record.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import { compareRecord, dkimRecord, type RecordProblem } from "./transform/dkim/record.ts";
import type { LookUpTxt } from "./transform/dkim/verify.ts";

export type LookupTxt = (name: DomainName) => Promise<TxtLookup>;

/** For those who verify signatures: rejects when DNS did not answer. A name that is none has no records. */
export function txtRecords(lookupTxt: LookupTxt): LookUpTxt {
  return async (name) => {
    const domain = parseDomainName(name);
    const found: TxtLookup = domain === undefined ? { kind: "none" } : await lookupTxt(domain);
    if (found.kind === "failed") throw new Error(found.detail);
    return found.kind === "found" ? found.records : [];
  };
}

export interface LookedAt {
  readonly key: DkimKeySettings;
  /** `SELECTOR._domainkey.DOMAIN` */
  readonly name: string;
  readonly verdict: "ok" | RecordProblem;
}

/** For `doctor` as well: one after the other, those that have not ended. Never rejects if `lookupTxt` does not. */
export async function lookAtRecords(
  keys: readonly DkimKeySettings[],
  lookupTxt: LookupTxt,
  now: number,
): Promise<readonly LookedAt[]> {
  const looked: LookedAt[] = [];
  for (const key of keys) {
    if (key.endsAt !== undefined && key.endsAt <= now) continue;
    const { name } = dkimRecord(key);
    const domain = parseDomainName(name);
    const found: TxtLookup = domain === undefined ? { kind: "none" } : await lookupTxt(domain);
    const published = found.kind === "found" ? found.records : found.kind === "none" ? "absent" : "failed";
    looked.push({ key, name, verdict: compareRecord(key, published) });
  }
  return looked;
}

export interface DkimRecordsDeps {
  readonly clock: Pick<Clock, "now" | "after">;
  readonly emit: Emit;
  /** Of the policy of now, all domains together. */
  readonly keys: () => readonly DkimKeySettings[];
  readonly lookupTxt: LookupTxt;
}

export interface DkimRecords {
  /** Starts to look, and does so by itself from then on. Call it after a reload, too. */
  readonly look: () => void;
  readonly stop: () => void;
}

const CODE = "dkim-record";
const PAUSE_MS = 6 * 3_600_000;
/** Where something could not be looked up. */
const SHORT_PAUSE_MS = 600_000;

interface Raised {
  readonly kind: RecordProblem["kind"];
  readonly since: string;
}

export function createDkimRecords({ clock, emit, keys, lookupTxt }: DkimRecordsDeps): DkimRecords {
  const raised = new Map<string, Raised>();
  let cancel: () => void = () => undefined;
  let latest = 0;

  const tell = ({ name, key, verdict }: LookedAt): void => {
    const known = raised.get(name);
    if (verdict === "ok" || verdict.kind === "testing") return clear(name, `The record ${name} is right`);
    if (verdict.kind === "unknown" || known?.kind === verdict.kind) return;
    clear(name, `The record ${name} is wrong in another way`);
    const since = iso(clock.now());
    raised.set(name, { kind: verdict.kind, since });
    const coming = key.notBefore !== undefined && key.notBefore > clock.now();
    const effect = coming
      ? `the key signs from ${iso(key.notBefore).slice(0, 10)} on`
      : "what the key signs is not recognised";
    const remedy = `${verdict.problem}, and ${effect}: ${verdict.remedy}`;
    emit("alarm", { code: CODE, partner: null, state: "raised", since, until: undefined, remedy });
  };

  const clear = (name: string, remedy: string): void => {
    const known = raised.get(name);
    if (known === undefined) return;
    raised.delete(name);
    const until = iso(clock.now());
    emit("alarm", { code: CODE, partner: null, state: "cleared", since: known.since, until, remedy });
  };

  const look = async (): Promise<void> => {
    cancel();
    latest += 1;
    const mine = latest;
    const looked = await lookAtRecords(keys(), lookupTxt, clock.now());
    if (mine !== latest) return; // stopped, or begun anew with other keys
    for (const one of looked) tell(one);
    const names = new Set(looked.map(({ name }) => name));
    for (const name of raised.keys()) if (!names.has(name)) clear(name, `The key of ${name} signs no longer`);
    const isWhole = looked.every(({ verdict }) => verdict === "ok" || verdict.kind !== "unknown");
    cancel = clock.after(isWhole ? PAUSE_MS : SHORT_PAUSE_MS, start);
  };

  const start = (): void => {
    look().catch((error: unknown) => emit("error", { kind: "dkim-records", detail: String(error) }));
  };

  const stop = (): void => {
    latest += 1;
    cancel();
  };
  return { look: start, stop };
}

function iso(at: number): string {
  return new Date(at).toISOString();
}
