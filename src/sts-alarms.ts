/**
 * Alarms of partners that announce an MTA-STS policy which cannot be had: raised once, cleared once when a later
 * attempt hears of a policy again, or that none is announced (RFC 8461 §3.3).
 */
import type { Attempted } from "./relay.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";

export interface StsAlarms {
  readonly look: (attempted: Pick<Attempted, "delivery" | "outbound" | "trial">) => void;
}

const CODE = "mta-sts-unavailable";

export function createStsAlarms({
  clock,
  emit,
}: {
  readonly clock: Pick<Clock, "now">;
  readonly emit: Emit;
}): StsAlarms {
  /** By partner and domain: since when, in ISO 8601. */
  const raised = new Map<string, string>();
  return {
    look: ({ delivery, outbound: { partner, tls }, trial }) => {
      const facts = trial.seen?.published.mtaSts;
      if (partner === null || facts === undefined || facts.kind === "unknown") return;
      const key = `${partner} ${delivery.domain}`;
      const known = raised.get(key);
      const about = { code: CODE, partner };
      if (facts.kind !== "unavailable") {
        if (known === undefined || !raised.delete(key)) return;
        const until = new Date(clock.now()).toISOString();
        const remedy = `The MTA-STS policy for mail to ${delivery.domain} can be had again, or is announced no longer`;
        emit("alarm", { ...about, state: "cleared", since: known, until, remedy });
      } else if (known === undefined) {
        const since = new Date(clock.now()).toISOString();
        raised.set(key, since);
        const effect = tls.mtaSts === "require" ? "mail waits" : "mail goes by the level alone";
        const remedy = `${delivery.domain} announces an MTA-STS policy that cannot be had (${facts.detail}), so ${effect}: tell ${partner}`;
        emit("alarm", { ...about, state: "raised", since, until: undefined, remedy });
      }
    },
  };
}
