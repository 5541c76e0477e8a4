/** `doctor` on DKIM: what DNS publishes for each key, and which of our domains send unsigned. Asks the resolver only. */
import type { Settings } from "../config/settings.ts";
import { bad, type Finding, good, warn } from "./finding.ts";
import type { DkimRecordState, Outside } from "./outside.ts";
import { printable } from "./text.ts";

export async function checkDkim(outside: Outside, { policy }: Settings, now: number): Promise<Finding[]> {
  const states = await outside.dkimRecords(policy.ownDomains.flatMap(({ dkim }) => dkim));
  const outbounds = [policy.default, ...policy.partners.map(({ outbound }) => outbound)];
  const isWanted = outbounds.some(({ treatment }) => treatment.dkim !== "none");
  const unsigned = policy.ownDomains.filter(
    ({ dkim }) =>
      !dkim.some(({ notBefore = 0, endsAt = Number.POSITIVE_INFINITY }) => notBefore <= now && now < endsAt),
  );
  const isTreated = outbounds.some(({ treatment: { headers, smime, dkim } }) => {
    const isEdited = headers.received !== "keep" || headers.remove.length > 0 || headers.messageId !== "keep";
    return isEdited || dkim !== "none" || smime.sign !== "never" || smime.encrypt !== "never";
  });
  return [
    ...(isTreated && policy.ownDomains.length === 0 ? [NO_DOMAINS] : []),
    ...states.map((state) => recordFinding(state, now)),
    ...(isWanted ? unsigned : []).map(({ domain }) =>
      warn("dkim", `Mail from ${domain} goes without a DKIM signature.`, `sealpost dkim generate ${domain}`),
    ),
  ];
}

/** Of a gateway that knows no domain of its own, everything only passes through. */
const NO_DOMAINS = warn(
  "domains",
  "No domain of our own is named: no header is stripped and nothing is signed, for all mail only passes through.",
  "Write them under domains.",
);

function recordFinding({ key, name, verdict }: DkimRecordState, now: number): Finding {
  if (verdict === "ok") return good("dkim", `The record ${name} is that of our key.`);
  const remedy = `${verdict.remedy.charAt(0).toUpperCase()}${verdict.remedy.slice(1)}.`;
  const text = `${printable(verdict.problem)}.`;
  if (verdict.kind === "unknown" || verdict.kind === "testing") return warn("dkim", text, remedy);
  if ((key.notBefore ?? 0) <= now) return bad("dkim", text, remedy);
  const from = new Date(key.notBefore ?? 0).toISOString().slice(0, 10);
  return warn("dkim", `${text.slice(0, -1)}, and it signs from ${from} on.`, remedy);
}
