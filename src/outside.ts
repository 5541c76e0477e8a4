/**
 * What commands may ask of the world while no gateway is asked: the delivery engine without a queue, for as long as one
 * command runs. MTA-STS policies are kept in memory, since the store belongs to the gateway.
 */
import { X509Certificate } from "node:crypto";
import type { Answer, Outside, OwnTlsaState } from "./cli/outside.ts";
import type { Settings } from "./config/settings.ts";
import { findAddresses } from "./connect/addresses.ts";
import { probeResolvers } from "./connect/dns-probe.ts";
import type { Lookup } from "./connect/resolver.ts";
import { reverseName } from "./connect/reverse-name.ts";
import { lookAtRecords } from "./dkim-records.ts";
import { createEngine, type Engine } from "./engine.ts";
import { readCertificate } from "./mail/certificate.ts";
import type { DomainName } from "./mail/domain-name.ts";
import type { KeptStsPolicy, StsPolicyCache } from "./mail/sts-policy.ts";
import { ownAddresses } from "./own-addresses.ts";
import { createProbe } from "./probe.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import { snapshotOf } from "./snapshot.ts";
import { checkDane } from "./verify/dane.ts";

export function createOutside(settings: Settings, { clock, random }: { clock: Clock; random: Random }): Outside {
  const current = snapshotOf(settings);
  const snapshot = () => current;
  const stopping = new AbortController();
  const isOwn = ownAddresses({
    hostname: () => settings.hostname,
    mxPort: () => settings.delivery.port,
    bound: () => settings.accept.listeners,
  });
  const engine = createEngine({
    clock,
    random,
    snapshot,
    isOwn,
    policies: policiesInMemory(),
    onStsTrouble: () => undefined, // the probe tells it itself
    stopping: stopping.signal,
  });
  const { resolver } = engine;
  return {
    ...createProbe({ clock, snapshot, steps: engine.steps }),
    resolvers: () => probeResolvers({ clock, random, settings: settings.dns }),
    addresses: async (name) => {
      const { byVersion, failure } = await findAddresses(resolver, name, settings.delivery.ipVersions);
      const values = byVersion.flat();
      if (values.length > 0) return { kind: "found", values };
      return failure === undefined ? { kind: "none" } : { kind: "failed", detail: failure };
    },
    names: async (address) => answerOf(await resolver.lookup(reverseName(address), "PTR"), (name) => name),
    exchangers: async (domain) => answerOf(await resolver.lookup(domain, "MX"), ({ exchange }) => exchange),
    ownTlsa: (host, port, pem) => ownTlsa(engine, { host, port, pem, now: clock.now() }),
    dkimRecords: (keys) => lookAtRecords(keys, (name) => resolver.lookup(name, "TXT"), clock.now()),
    close: async () => {
      stopping.abort();
      await engine.close();
    },
  };
}

function answerOf<T>(lookup: Lookup<T>, textOf: (record: T) => string): Answer {
  switch (lookup.kind) {
    case "found":
      return { kind: "found", values: lookup.records.map(textOf) };
    case "none":
      return { kind: "none" };
    case "failed":
      return { kind: "failed", detail: lookup.detail };
  }
}

interface Own {
  readonly host: DomainName;
  readonly port: number;
  readonly pem: string;
  readonly now: number;
}

/** As a partner that honours DANE would judge us, by the finder and the gate that judge others. */
async function ownTlsa({ steps }: Engine, { host, port, pem, now }: Own): Promise<OwnTlsaState> {
  const hosts = await steps.resolve({ kind: "host", host, port, implicitTls: false }, host);
  if ("kind" in hosts)
    return hosts.reason === "dns-failed" ? { kind: "failed", detail: hosts.detail } : { kind: "none" };
  const [first] = hosts;
  if (first === undefined) return { kind: "none" };
  const facts = await steps.dane(first, host);
  switch (facts.kind) {
    case "unknown":
      return { kind: "failed", detail: facts.detail };
    case "none":
      return facts.why === "absent" ? { kind: "none" } : { kind: "insecure" };
    case "unusable":
      return { kind: "unusable" };
    case "usable": {
      const result = checkDane(chainOf(pem), facts, now);
      return "by" in result ? { kind: "match", matched: result.matched } : { kind: "mismatch", detail: result.detail };
    }
  }
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function chainOf(pem: string) {
  return (pem.match(CERTIFICATE) ?? []).map((text) => readCertificate(new X509Certificate(text)));
}

function policiesInMemory(): StsPolicyCache {
  const kept = new Map<string, KeptStsPolicy>();
  return {
    get: (domain, now) => {
      const policy = kept.get(domain);
      return Promise.resolve(policy !== undefined && policy.expiresAt > now ? policy : undefined);
    },
    put: (policy) => Promise.resolve(void kept.set(policy.domain, policy)),
    used: () => Promise.resolve(),
    claimDue: () => Promise.resolve([]),
  };
}
