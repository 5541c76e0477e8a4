/** `on_expiry` to the steps that are taken, in order, when a message's time has passed (contract section 3). */
import type { LadderStep } from "../decide/policy.ts";
import type { Building } from "./building.ts";
import { buildNextHop } from "./hops.ts";
import { type Located, originAt } from "./located.ts";
import { DAY_MS } from "./scalars.ts";
import type { Steps } from "./schema/outbound.ts";

/** Of a step that states none. */
const STEP_MS = DAY_MS;

export function buildLadder(building: Building, steps: Steps, tree: Located): LadderStep[] {
  const { problems } = building;
  return steps.flatMap((step, index): LadderStep[] => {
    const path = ["on_expiry", index];
    const at = originAt(tree, path);
    if (step === "bounce") {
      if (index < steps.length - 1)
        problems.add(
          originAt(tree, ["on_expiry", index + 1]),
          "a step after bounce is never taken",
          "write bounce last",
        );
      return [];
    }
    const { next_hop: hops, smime_encrypt: encrypts, approved_by: approvedBy, lifetime: lifetimeMs = STEP_MS } = step;
    if ((hops === undefined) === (encrypts !== true)) {
      problems.add(at, "a step is either a next_hop or smime_encrypt: true", 'write {next_hop: "[host]:25"} or bounce');
      return [];
    }
    if (hops !== undefined) {
      if (approvedBy !== undefined) {
        const remedy = "remove it: every demand stays with another next hop";
        problems.add(originAt(tree, [...path, "approved_by"]), "approved_by has no effect here", remedy);
      }
      const nextHop = buildNextHop(building, hops, tree, [...path, "next_hop"]);
      return [{ kind: "next-hop", nextHop, lifetimeMs }];
    }
    if (approvedBy === undefined) {
      problems.add(at, "smime_encrypt without approved_by: it lowers what is proven", "write approved_by: WHO@DOMAIN");
      return [];
    }
    return [{ kind: "smime", approvedBy, lifetimeMs }];
  });
}
