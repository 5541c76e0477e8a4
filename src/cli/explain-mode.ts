/** What `explain` says of a policy that is only reported, with what that has shown so far; and of the end of a lifetime. */
import type { Settings } from "../config/settings.ts";
import { describeNextHop } from "../decide/decide.ts";
import type { LadderStep, OutboundPolicy } from "../decide/policy.ts";
import type { CliDeps } from "./deps.ts";
import { day, type Fact } from "./fact.ts";
import { figuresText, reportFigures } from "./report-figures.ts";
import { exactDuration } from "./text.ts";

/** Undefined where the policy is enforced. */
export async function modeFact(
  deps: CliDeps,
  settings: Settings,
  { mode, reportEndsAt, partner }: OutboundPolicy,
): Promise<Fact | undefined> {
  if (mode !== "report") return undefined;
  const until = day((reportEndsAt ?? Number.NaN) - 1);
  // A queue that is locked or gone keeps nobody from reading the rest.
  const silent = { ...deps, stderr: { write: () => undefined } };
  const found = partner === null ? undefined : await reportFigures(silent, settings, partner);
  const figures = typeof found === "object" ? found : undefined;
  const text = `report until ${until}: mail goes as level may lets it, and the log says what enforce would have kept`;
  return {
    key: "mode",
    label: "mode",
    value: { mode, until, ...(figures && { figures }) },
    text: figures === undefined ? text : `${text}\n${figuresText(figures, settings.historyMs)}`,
  };
}

/** What comes when the lifetime has passed. A next hop may hold a password: only where it is, is told. */
export function expiryFact({ onExpiry }: OutboundPolicy, origin: { origin?: string }): Fact {
  const value = onExpiry.map((step) =>
    step.kind === "next-hop"
      ? { nextHop: step.nextHop.map(describeNextHop), lifetimeMs: step.lifetimeMs }
      : { smimeEncrypt: true, approvedBy: step.approvedBy, lifetimeMs: step.lifetimeMs },
  );
  const steps = [...onExpiry.map(stepText), "the sender gets a failure notice"];
  return {
    key: "onExpiry",
    label: "on expiry",
    value,
    text: steps.map((step) => `then ${step}`).join(", "),
    ...origin,
  };
}

function stepText(step: LadderStep): string {
  const lifetime = exactDuration(step.lifetimeMs);
  switch (step.kind) {
    case "next-hop":
      return `${step.nextHop.map(describeNextHop).join(" or ")} for ${lifetime}`;
    case "smime":
      return `encrypted by S/MIME over any TLS for ${lifetime} (approved by ${step.approvedBy})`;
  }
}
