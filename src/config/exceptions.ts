/** Exceptions: weakenings that end by themselves. Those that have ended are dropped with a warning; none lasts longer than a year. */
import type { ExceptionRecord, OutboundPolicy } from "../decide/policy.ts";
import type { Building } from "./building.ts";
import { isTooFar, latestDay, LONGEST_DAYS } from "./end-dates.ts";
import { keyAt, type Located, originAt, type Path } from "./located.ts";
import { buildOutbound, type OutboundRequest } from "./outbound-policy.ts";
import { DAY_MS, dayOf } from "./scalars.ts";
import type { Exception } from "./schema/partner.ts";

/** The exceptions of one file, in its order. `beneath`: the policy they are laid over. */
export function buildExceptions(
  building: Building,
  entries: readonly Exception[],
  tree: Located,
  beneath: OutboundRequest,
): { readonly policy: OutboundPolicy; readonly index: number }[] {
  return entries.flatMap((entry, index) => {
    const path = ["exceptions", index];
    if (!inTime(building, entry, tree, path)) return [];
    const over = tree.kind === "map" ? layerAt(tree, path) : undefined;
    const record: ExceptionRecord = {
      approvedBy: entry.approved_by,
      reason: entry.reason,
      endsAt: entry.until,
      origin: originAt(tree, path),
    };
    if (over === undefined || (over.kind === "map" && over.entries.size === 0)) {
      if (entry.inbound !== undefined) return [];
      const remedy = "write what it permits, such as outbound: {tls: {level: encrypt}}";
      building.problems.add(record.origin, "an exception that changes nothing", remedy);
      return [];
    }
    const end = keyAt(over, ["report_until"]);
    if (end !== undefined) {
      building.problems.add(end, "report_until has no effect in an exception, which ends with until", "remove it");
    }
    const layers = [...beneath.layers, over];
    const policy = buildOutbound(building, { ...beneath, layers, source: "exception", exception: record });
    return policy === undefined ? [] : [{ policy, index }];
  });
}

function layerAt(tree: Located, path: Path): Located | undefined {
  const list = tree.kind === "map" ? tree.entries.get("exceptions")?.value : undefined;
  const entry = list?.kind === "list" ? list.items[Number(path[1])] : undefined;
  return entry?.kind === "map" ? entry.entries.get("outbound")?.value : undefined;
}

function inTime({ problems, now }: Building, entry: Exception, tree: Located, path: Path): boolean {
  const at = originAt(tree, [...path, "until"]);
  if (entry.until <= now) {
    problems.warn(at, `this exception ended with ${dayOf(entry.until - DAY_MS)} and no longer counts`, "remove it");
    return false;
  }
  if (!isTooFar(entry.until, now)) return true;
  problems.add(at, `an exception lasts at most ${LONGEST_DAYS} days`, `write a date up to ${latestDay(now)}`);
  return false;
}
