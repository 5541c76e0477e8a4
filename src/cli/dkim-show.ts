/**
 * `sealpost dkim show [DOMAIN]`: the records of the keys that the configuration names, ready to be pasted into a zone, and
 * what DNS says of each. Shows public keys only.
 */
import type { Settings } from "../config/settings.ts";
import { parseDomainName } from "../mail/domain-name.ts";
import type { DkimKeySettings } from "../mail/treatment.ts";
import { dkimRecord, zoneLine } from "../transform/dkim/record.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { day } from "./fact.ts";
import type { DkimRecordState } from "./outside.ts";
import { loadSettings } from "./settings.ts";
import { painter, printable, wrapped } from "./text.ts";

export interface DkimShowOptions {
  readonly domain?: string;
  /** Asks no resolver. */
  readonly offline?: boolean;
}

/** Ends with 1 when there is no key, or when DNS lacks what one that signs needs. */
export async function dkimShow(deps: CliDeps, common: Common, options: DkimShowOptions): Promise<ExitCode> {
  const wanted = options.domain === undefined ? undefined : parseDomainName(options.domain);
  if (options.domain !== undefined && wanted === undefined)
    return refuse(deps, EXIT.usage, [`${JSON.stringify(options.domain)} is no domain. Write one, as example.org.`]);
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  const domains = settings.policy.ownDomains.filter(({ domain }) => wanted === undefined || domain === wanted);
  const keys = domains.flatMap(({ dkim }) => dkim);
  if (keys.length === 0) {
    const of = wanted ?? "any of our domains";
    return refuse(deps, EXIT.no, [`No DKIM key is configured for ${of}. Make one: sealpost dkim generate DOMAIN.`]);
  }
  const now = deps.clock.now();
  const states = options.offline === true ? [] : await published(deps, settings, keys);
  for (const key of keys) {
    const state = states.find((one) => one.key === key);
    if (common.json) printJson(deps, asJson(key, state, now));
    else print(deps, key, state, now);
  }
  return states.some(({ verdict }) => verdict !== "ok" && verdict.kind !== "testing") ? EXIT.no : EXIT.good;
}

async function published(
  deps: CliDeps,
  settings: Settings,
  keys: readonly DkimKeySettings[],
): Promise<readonly DkimRecordState[]> {
  const outside = deps.openOutside(settings);
  try {
    return await outside.dkimRecords(keys);
  } finally {
    await outside.close();
  }
}

type Phase = "signs" | "to come" | "ended";

function phaseOf({ notBefore = 0, endsAt = Number.POSITIVE_INFINITY }: DkimKeySettings, now: number): Phase {
  if (now >= endsAt) return "ended";
  return now < notBefore ? "to come" : "signs";
}

const DAY_MS = 86_400_000;

function phaseText(key: DkimKeySettings, now: number): string {
  const { notBefore, endsAt } = key;
  const last = endsAt === undefined ? undefined : day(endsAt - DAY_MS);
  switch (phaseOf(key, now)) {
    case "ended":
      return `signed until ${last ?? ""}`;
    case "to come":
      return `signs from ${day(notBefore ?? 0)} on`;
    case "signs":
      return last === undefined ? "signs" : `signs until ${last}`;
  }
}

function asJson(key: DkimKeySettings, state: DkimRecordState | undefined, now: number): object {
  const { domain, selector, algorithm, notBefore, endsAt } = key;
  const record = dkimRecord(key);
  return {
    domain,
    selector,
    algorithm,
    phase: phaseOf(key, now),
    ...(notBefore !== undefined && { notBefore: day(notBefore) }),
    ...(endsAt !== undefined && { notAfter: day(endsAt - DAY_MS) }),
    ...record,
    zone: zoneLine(record),
    ...(state !== undefined && (state.verdict === "ok" ? { published: "ok" } : { published: state.verdict.kind })),
    ...(state !== undefined && state.verdict !== "ok" && { problem: state.verdict.problem }),
  };
}

function print(deps: CliDeps, key: DkimKeySettings, state: DkimRecordState | undefined, now: number): void {
  const { stdout } = deps;
  const paint = painter(stdout, deps.env);
  stdout.write(`${paint("dim", `; ${key.algorithm}, ${phaseText(key, now)}`)}\n${zoneLine(dkimRecord(key))}\n`);
  if (state === undefined) return;
  const { verdict } = state;
  if (verdict === "ok") stdout.write(`${paint("green", "; DNS has it")}\n`);
  // The remedy names the record, which stands above already.
  else stdout.write(`${paint("red", `; ${wrapped(printable(verdict.problem), stdout, 2)}`)}\n`);
}
