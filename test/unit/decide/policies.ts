/** Builds policies for tests: everything a policy needs, and what the row is about laid over it. */
import type { OutboundPolicy, PartnerPolicy, Policy, TlsPolicy } from "../../../src/decide/policy.ts";
import { UNTOUCHED } from "../../../src/mail/treatment.ts";

export const origin = { file: "sealpost.yaml", line: 1, column: 1 };

export function tls(over: Partial<TlsPolicy> = {}): TlsPolicy {
  return {
    level: "encrypt",
    match: [],
    trust: { id: "system", ca: "system", crl: [] },
    fingerprints: [],
    minVersion: "TLSv1.2",
    profile: { name: "intermediate@2026", minVersion: "TLSv1.2", ciphers: "", groups: "", signatureAlgorithms: "" },
    dane: "honour",
    mtaSts: "honour",
    tlsRequiredNo: "ignore",
    ...over,
  };
}

export function outbound(over: Partial<OutboundPolicy> = {}): OutboundPolicy {
  return {
    partner: null,
    source: "default",
    permitted: true,
    nextHop: [{ kind: "mx" }],
    tls: tls(),
    treatment: UNTOUCHED,
    lifetimeMs: 432_000_000,
    mode: "enforce",
    onExpiry: [],
    origins: {},
    ...over,
  };
}

export function partner(id: string, over: Partial<PartnerPolicy> = {}): PartnerPolicy {
  return {
    id,
    name: id,
    addresses: [],
    domains: [],
    subdomainsOf: [],
    outbound: outbound({ partner: id, source: "partner" }),
    exceptions: [],
    ...over,
  };
}

export function policy(over: Partial<Policy> = {}): Policy {
  return {
    generation: 1,
    default: outbound(),
    defaultExceptions: [],
    partners: [],
    ownDomains: [],
    rules: [],
    bounceLifetimeMs: 172_800_000,
    ...over,
  };
}
