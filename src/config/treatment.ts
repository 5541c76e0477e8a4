/**
 * What is done to a message on its way out, as one `outbound` says it once its layers are laid over each other: which
 * header fields go, whether DKIM and S/MIME sign, whether S/MIME encrypts.
 */
import type { SmimePolicy, Treatment } from "../mail/treatment.ts";
import type { OutboundPolicy } from "../decide/policy.ts";
import { keyAt, type Located, partAt } from "./located.ts";
import type { Problems } from "./problems.ts";
import type { Outbound } from "./schema/outbound.ts";
import type { OwnDomainEntry } from "./schema/own-domains.ts";
import { namesToRemove } from "./schema/treatment.ts";

/** Where nothing is written, internal names leave no message, and each key we have signs. */
export function buildTreatment({ headers = "strip", dkim = "sign", smime = {} }: Outbound): Treatment {
  const written = typeof headers === "string" ? {} : headers;
  return {
    headers:
      headers === "keep"
        ? { received: "keep", remove: [], messageId: "keep" }
        : {
            received: written.received ?? "strip",
            remove: namesToRemove(written.remove),
            messageId: written.message_id ?? "rewrite",
          },
    dkim,
    smime: {
      sign: smime.sign ?? "never",
      encrypt: smime.encrypt ?? "never",
      format: smime.format ?? "detached",
      tripleWrap: smime.triple_wrap ?? false,
    },
  };
}

/**
 * `headers: keep` beneath a map is the map it is short for, so that the keys which the map leaves out stay kept. (What
 * `strip` is short for is the default of each key.)
 */
export function expandHeaders(below: Located | undefined, layer: Located | undefined): Located | undefined {
  const beneath = below?.kind === "map" ? below.entries.get("headers") : undefined;
  const over = layer && partAt(layer, ["headers"]);
  if (below?.kind !== "map" || beneath?.value.kind !== "scalar" || beneath.value.value !== "keep") return below;
  if (over?.kind !== "map") return below;
  const { origin } = beneath.value;
  const keep: Located = { kind: "scalar", origin, value: "keep" };
  const entries = [
    ["received", keep],
    ["remove", { kind: "list", origin, items: [] }],
    ["message_id", keep],
  ] as const;
  const value = {
    kind: "map",
    origin,
    entries: new Map(entries.map(([k, v]) => [k, { key: origin, value: v }])),
  } as const;
  return { ...below, entries: new Map(below.entries).set("headers", { ...beneath, value }) };
}

/** Keys of `smime` that do nothing beside what is said there; what is inherited is never dead (contract section 1). */
export function reportDeadTreatment(
  own: Located | undefined,
  { smime }: { readonly smime: Partial<SmimePolicy> },
  problems: Problems,
): void {
  if (own === undefined) return;
  const format = keyAt(own, ["smime", "format"]);
  if (format !== undefined && smime.sign === "never") {
    problems.add(format, "format has no effect with sign: never", "remove it, or write sign: if-possible or always");
  }
  const wrap = keyAt(own, ["smime", "triple_wrap"]);
  const missing = missingFor(smime);
  if (wrap !== undefined && smime.tripleWrap === true && missing !== undefined) {
    const message = `triple_wrap signs what was signed and encrypted: it has no effect with ${missing[0]}`;
    problems.add(wrap, message, `remove it, or write ${missing[1]}`);
  }
}

function missingFor({ sign, encrypt }: Partial<SmimePolicy>): readonly [string, string] | undefined {
  if (sign === "never") return ["sign: never", "sign: if-possible or always"];
  return encrypt === "never" ? ["encrypt: never", "encrypt: if-known or always"] : undefined;
}

/** A signature is demanded, and nobody has a key: every message would be refused. (Of one domain, its senders are told.) */
export function warnUnsignable(
  problems: Problems,
  policies: readonly OutboundPolicy[],
  domains: readonly OwnDomainEntry[],
): void {
  const noDkim = domains.every(({ dkim = [] }) => dkim.length === 0);
  const noSmime = domains.every(({ smime }) => smime === undefined || smime === null);
  for (const { treatment, origins } of policies) {
    const [dkim, smime] = [origins["dkim"], origins["smime.sign"]];
    if (noDkim && treatment.dkim === "require" && dkim !== undefined) {
      const remedy = "write dkim: [{selector, key}] below domains, or dkim: sign";
      problems.warn(dkim, "dkim: require, but no domain of ours has a key: every message will be refused", remedy);
    }
    if (noSmime && treatment.smime.sign === "always" && smime !== undefined) {
      const remedy = "write smime: {directory} below domains, or sign: if-possible";
      problems.warn(smime, "sign: always, but no domain of ours has keys: every message will be refused", remedy);
    }
  }
}
