/**
 * `doctor` on what signs and encrypts our mail by S/MIME: certificates of ours and of partners. Reads no file and asks
 * nobody.
 */
import type { X509Certificate } from "node:crypto";
import type { Settings } from "../config/settings.ts";
import type { OwnDomain } from "../decide/policy.ts";
import type { SmimeRecipientSettings } from "../mail/treatment.ts";
import { chainOf, checkDates, isComplete, isSelfSigned, nameOf, noticeStep } from "./doctor-certificates.ts";
import { bad, type Finding, good, warn } from "./finding.ts";
import { count } from "./text.ts";

export function checkSmime(settings: Settings, now: number): Finding[] {
  return [
    ...checkSigners(settings.policy.ownDomains, now),
    ...checkRecipients([...settings.smime.recipients, ...settings.smime.harvested], now),
  ];
}

/** One certificate may sign for several domains; it is told of once. */
function checkSigners(ownDomains: readonly OwnDomain[], now: number): Finding[] {
  const chains = new Map<string, X509Certificate[]>();
  for (const { smime } of ownDomains)
    for (const { certificate, chain } of smime) chains.set(certificate, [certificate, ...chain].flatMap(chainOf));
  return [...chains.values()].flatMap((chain) => [...checkDates("smime", chain, now), ...checkSignerChain(chain)]);
}

function checkSignerChain(chain: readonly X509Certificate[]): Finding[] {
  const [leaf] = chain;
  const last = chain.at(-1);
  if (leaf === undefined || last === undefined) return [];
  if (chain.length === 1 && isSelfSigned(leaf)) {
    const text = `${nameOf(leaf)} is self-signed: recipients who do not have it already cannot verify our signatures.`;
    return [warn("smime chain", text, "Have one issued: sealpost smime request ADDRESS.")];
  }
  if (isComplete(last)) return [good("smime chain", `The chain of ${nameOf(leaf)} is complete.`)];
  const text = `The chain of ${nameOf(leaf)} ends at ${nameOf(last)}, and no root of this machine issued that one.`;
  return [
    warn("smime chain", text, "Append the intermediate certificates to the file; a private root needs nothing more."),
  ];
}

/** A certificate that another one of the same holders outlives needs no word. */
function checkRecipients(recipients: readonly SmimeRecipientSettings[], now: number): Finding[] {
  const held = recipients.flatMap((recipient) => {
    const [certificate] = chainOf(recipient.certificate);
    return certificate === undefined ? [] : [{ recipient, certificate, ends: certificate.validToDate.getTime() }];
  });
  const longest = new Map<string, number>();
  for (const { recipient, ends } of held)
    for (const one of holdersOf(recipient)) longest.set(one, Math.max(ends, longest.get(one) ?? 0));
  const wrong = held.flatMap(({ recipient, certificate, ends }) => {
    const alone = holdersOf(recipient).filter((one) => longest.get(one) === ends);
    if (alone.length === 0 || noticeStep(ends, now) === undefined) return [];
    const whose = `The S/MIME certificate of ${alone.join(", ")} (${nameOf(certificate)})`;
    const date = certificate.validToDate.toISOString().slice(0, 10);
    const remedy = "Ask its holder for the next one: sealpost smime import FILE.";
    return ends <= now
      ? [bad("smime partners", `${whose} has ended (${date}): nothing is encrypted to it.`, remedy)]
      : [warn("smime partners", `${whose} ends on ${date}.`, remedy)];
  });
  if (wrong.length > 0 || held.length === 0) return wrong;
  return [
    good("smime partners", `${count(held.length, "certificate")} of partners can be used for 30 days or longer.`),
  ];
}

function holdersOf({ addresses, domains }: SmimeRecipientSettings): string[] {
  return [...addresses, ...domains.map((domain) => `@${domain}`)];
}
