/**
 * Whether a policy is enforced or, until a date, only reported. The nearest word on it counts, and its date goes with
 * it; a report without an end is refused.
 */
import type { OutboundPolicy } from "../decide/policy.ts";
import type { Building } from "./building.ts";
import { LONGEST_DAYS } from "./exceptions.ts";
import { keyAt, type Located } from "./located.ts";
import { DAY_MS, dayOf } from "./scalars.ts";

/** What one map says of it. */
export interface StatedMode {
  readonly mode?: "enforce" | "report" | undefined;
  readonly report_until?: number | undefined;
}

export type BuiltMode = Pick<OutboundPolicy, "mode" | "reportEndsAt">;

/** `stated`: nearest first. */
export function modeOf(stated: readonly (StatedMode | undefined)[]): BuiltMode {
  const nearest = stated.find((one) => one?.mode !== undefined);
  if (nearest?.mode !== "report" || nearest.report_until === undefined) return { mode: "enforce" };
  return { mode: "report", reportEndsAt: nearest.report_until };
}

/** One map that may state it; `tree` is that map. */
export function checkMode(
  { problems, now }: Building,
  stated: StatedMode | undefined,
  tree: Located | undefined,
): void {
  if (stated === undefined || tree === undefined) return;
  const { mode, report_until: until } = stated;
  const at = keyAt(tree, ["report_until"]) ?? tree.origin;
  if (mode === "report" && until === undefined) {
    const remedy = `write report_until: ${dayOf(now + 30 * DAY_MS)}, the last day of it`;
    problems.add(keyAt(tree, ["mode"]) ?? tree.origin, "mode: report without an end", remedy);
  }
  if (until === undefined) return;
  if (mode !== "report") problems.add(at, "report_until has no effect without mode: report", "remove it");
  else if (until <= now) {
    const message = `report mode ended with ${dayOf(until - DAY_MS)}: the policy is enforced`;
    problems.warn(at, message, "remove mode and report_until, or write a later date");
  } else if (until - DAY_MS > now - (now % DAY_MS) + LONGEST_DAYS * DAY_MS) {
    problems.add(at, `report mode lasts at most ${LONGEST_DAYS} days`, "write an earlier date");
  }
}
