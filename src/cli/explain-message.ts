/**
 * The lines of `explain` that tell what a message may add to the policy of its recipient, or lift of it: rules, TLS-only
 * aliases, and the header `TLS-Required: No`.
 */
import { describeNextHop } from "../decide/decide.ts";
import type { Origin, OutboundPolicy, Policy, Rule } from "../decide/policy.ts";
import { BESIDE_PUBLISHED } from "../decide/message-demand.ts";
import { rulesAbout } from "../decide/rules.ts";
import type { MessageDemands } from "../mail/demands.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import type { Fact } from "./fact.ts";

type Place = (origin: Origin) => string;

/** Those that may match mail to this recipient; whether they do, only a message can tell. */
export function rulesFact({ rules }: Policy, recipient: Mailbox, place: Place): Fact | undefined {
  const meant = rulesAbout(rules, recipient);
  if (meant.length === 0) return undefined;
  const value = meant.map(({ name, when, effects, origin }) => ({
    name,
    when,
    does: effectsText(effects),
    origin: place(origin),
  }));
  const lines = meant.map(
    (rule) => `${rule.name} (${place(rule.origin)}): ${whenText(rule.when)}: ${effectsText(rule.effects)}`,
  );
  return { key: "rules", label: "rules", value, text: lines.join("\n") };
}

function whenText({ sender, from, recipient, subject, header = {} }: Rule["when"]): string {
  const conditions = [
    ["sender", sender?.map((one) => (one === "" ? "<>" : one))],
    ["from", from],
    ["recipient", recipient],
    ["subject", subject],
    ...Object.entries(header),
  ] as const;
  return conditions.flatMap(([name, globs]) => (globs === undefined ? [] : [`${name} ${listed(globs)}`])).join(" and ");
}

const SHOWN = 3;

function listed(globs: readonly string[]): string {
  const more = globs.length - SHOWN;
  return more <= 0 ? globs.join(" or ") : `${globs.slice(0, SHOWN).join(" or ")} or ${more} more`;
}

function effectsText({ tls, refuse, smime, nextHop, removeSubjectTag }: Rule["effects"]): string {
  return [
    ...(refuse === undefined ? [] : [`refused with 550 5.7.1 ${refuse}`]),
    ...(tls === undefined ? [] : [demandText(tls)]),
    ...(smime === undefined
      ? []
      : [
          `S/MIME ${Object.entries(smime)
            .map(([key, said]) => `${key} ${String(said)}`)
            .join(", ")}`,
        ]),
    ...(nextHop === undefined ? [] : [`goes by ${nextHop.map(describeNextHop).join(", then ")}`]),
    ...(removeSubjectTag === true ? ["the tag goes out of the subject"] : []),
  ].join("; ");
}

function demandText({ level, minVersion }: NonNullable<Rule["effects"]["tls"]>): string {
  return `level ${level}${minVersion === undefined ? "" : `, at least ${minVersion}`}, in addition`;
}

export function aliasFact({ ownDomains }: Policy, place: Place): Fact | undefined {
  const aliases = ownDomains.flatMap(({ tlsOnlyAlias, outbound }) => {
    const origin = outbound.origins["tls_only_alias"];
    return tlsOnlyAlias === undefined ? [] : [{ tlsOnlyAlias, origin }];
  });
  const [first] = aliases;
  if (first === undefined) return undefined;
  const value = aliases.map(({ tlsOnlyAlias }) => tlsOnlyAlias);
  return {
    key: "tlsOnlyAliases",
    label: "aliases",
    value,
    text: `Mail from ${value.map((alias) => `@${alias}`).join(" or ")} goes at level authenticated, or it waits.`,
    ...(first.origin && { origin: place(first.origin) }),
  };
}

/** RFC 8689 §3 */
export function tlsRequiredFact({ tls }: OutboundPolicy, origin: { origin?: string }): Fact | undefined {
  if (!BESIDE_PUBLISHED.includes(tls.level)) return undefined;
  const text =
    tls.tlsRequiredNo === "honour"
      ? "No in a message's header lifts what the destination publishes, never the level."
      : "No in a message's header changes nothing.";
  return { key: "tlsRequiredNo", label: "TLS-Required", value: tls.tlsRequiredNo, text, ...origin };
}

/** What one message demands of its way, as clauses for people. */
export function demandsTexts({ tlsRequiredNo, alias, rules = [] }: MessageDemands): readonly string[] {
  return [
    ...(alias === true ? ["sent from a TLS-only alias: level authenticated, in addition"] : []),
    ...rules.map(({ name, tls }) => (tls === undefined ? `rule ${name}` : `rule ${name}: ${demandText(tls)}`)),
    ...(tlsRequiredNo === true ? ["TLS-Required: No, which counts where tls_required_no is honour"] : []),
  ];
}
