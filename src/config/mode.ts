/**
 * Whether a policy is enforced or, until a date, only reported. The nearest word on it counts, and its date goes with
 * it; a report without an end is refused.
 */
import type { Origin, OutboundPolicy } from "../decide/policy.ts";
import type { Building } from "./building.ts";
import { type Checked, isBroken } from "./check-schema.ts";
import { isTooFar, latestDay, LONGEST_DAYS } from "./end-dates.ts";
import { keyAt, type Located, type Path } from "./located.ts";
import { DAY_MS, dayOf } from "./scalars.ts";

/** What one map says of it. */
export interface StatedMode {
  readonly mode?: "enforce" | "report" | undefined;
  readonly report_until?: number | undefined;
  /** By key; filled by `statedMode`. */
  readonly origins?: Readonly<Record<string, Origin>> | undefined;
}

/** With where it was written. */
export function statedMode(value: StatedMode, tree: Located, path: Path): StatedMode {
  const { mode, report_until } = value;
  const origins = ["mode", "report_until"].flatMap((key) => {
    const at = keyAt(tree, [...path, key]);
    return at === undefined ? [] : [[key, at] as const];
  });
  return { mode, report_until, origins: Object.fromEntries(origins) };
}

export type BuiltMode = Pick<OutboundPolicy, "mode" | "reportEndsAt">;

/** `all`: nearest first. */
export function nearestMode(all: readonly StatedMode[]): StatedMode | undefined {
  return all.find(({ mode }) => mode !== undefined);
}

export function modeOf(nearest: StatedMode | undefined): BuiltMode {
  if (nearest?.mode !== "report" || nearest.report_until === undefined) return { mode: "enforce" };
  return { mode: "report", reportEndsAt: nearest.report_until };
}

/** What a whole file says of it, and its `outbound`. */
export function checkModes(
  building: Building,
  { value, tree, broken }: Checked<StatedMode & { readonly outbound?: StatedMode | undefined }>,
): void {
  // Where one of the two keys could not be read, nothing is said of what the other lacks.
  if (!isBroken(broken, "mode", "report_until")) checkMode(building, value, tree, []);
  if (value.outbound === undefined || isBroken(broken, "outbound.mode", "outbound.report_until")) return;
  checkMode(building, value.outbound, tree, ["outbound"]);
}

function checkMode({ problems, now }: Building, stated: StatedMode, tree: Located, path: Path): void {
  const { mode, report_until: until } = stated;
  const at = (key: string) => keyAt(tree, [...path, key]) ?? tree.origin;
  if (mode === "report" && until === undefined) {
    const remedy = `write report_until: ${dayOf(now + 30 * DAY_MS)}, the last day of it`;
    problems.add(at("mode"), "mode: report without an end", remedy);
  }
  if (until === undefined) return;
  if (mode !== "report") {
    problems.add(at("report_until"), "report_until has no effect without mode: report beside it", "remove it");
  } else if (until <= now) {
    const message = `report mode ended with ${dayOf(until - DAY_MS)}: the policy is enforced`;
    problems.warn(at("report_until"), message, "remove mode and report_until, or write a later date");
  } else if (isTooFar(until, now)) {
    const message = `report mode lasts at most ${LONGEST_DAYS} days`;
    problems.add(at("report_until"), message, `write a date up to ${latestDay(now)}`);
  }
}
