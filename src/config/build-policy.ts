/** The policy: default, exceptions to it, partners and our own domains. */
import { basename } from "node:path";
import type { OutboundPolicy, Policy } from "../decide/policy.ts";
import type { PartnerFile } from "./assemble.ts";
import type { Building } from "./building.ts";
import { type Checked, isBroken } from "./check-schema.ts";
import { buildExceptions } from "./exceptions.ts";
import { keyAt, originAt, partAt } from "./located.ts";
import { buildOutbound, type OutboundRequest } from "./outbound-policy.ts";
import { buildOwnDomains } from "./own-domains.ts";
import { createOwnership, type Ownership } from "./ownership.ts";
import { checkModes, statedMode } from "./mode.ts";
import { buildPartner } from "./partners.ts";
import { buildRules } from "./rules.ts";
import type { Gateway } from "./schema/gateway.ts";
import { warnUnsignable } from "./treatment.ts";

export function buildPolicy(
  building: Building,
  checked: Checked<Gateway>,
  partners: readonly PartnerFile[],
  generation: number,
): Policy {
  const { value, tree, broken } = checked;
  const ownership = createOwnership(building.problems);
  const base = partAt(tree, ["outbound"]);
  const request: OutboundRequest = {
    layers: [base],
    source: "default",
    partner: null,
    permitted: (value.outbound.unlisted ?? "relay") === "relay",
    origin: tree.origin,
    modes: [statedMode(value.outbound, tree, ["outbound"]), statedMode(value, tree, [])],
  };
  checkModes(building, checked);
  const standard = buildOutbound(building, request);
  if (standard?.tls.level === "none") {
    const at = keyAt(tree, ["outbound", "tls", "level"]) ?? tree.origin;
    building.problems.add(at, "level none is for next_hop_tls and exceptions only", "write may or encrypt");
  }
  const ownDomains = buildOwnDomains(
    building,
    ownership,
    { entries: value.domains, complete: !isBroken(broken, "domains") },
    tree,
  );
  const context = {
    building,
    ownership,
    base,
    modes: request.modes,
    standard: isBroken(broken, "outbound.tls", "outbound.next_hop") ? undefined : standard,
  };
  const built = partners.flatMap(({ file, checked }) => buildPartner(context, file, checked) ?? []);
  const exceptions = standard === undefined ? [] : buildExceptions(building, value.exceptions, tree, request);
  if (!isBroken(broken, "domains")) {
    const ofPartners = built.flatMap((one) => [one.outbound, ...one.exceptions]);
    const ours = [...(standard === undefined ? [] : [standard]), ...exceptions.map(({ policy }) => policy)];
    warnUnsignable(building.problems, [...ours, ...ofPartners], value.domains);
  }
  return {
    generation,
    default: standard ?? unreadable(building),
    defaultExceptions: exceptions.map(({ policy, index }) => scoped({ building, ownership, checked, index }, policy)),
    partners: built,
    ownDomains,
    rules: buildRules(building, value.rules, tree),
    bounceLifetimeMs: value.queue.bounce_lifetime,
  };
}

interface Scope {
  readonly building: Building;
  readonly ownership: Ownership;
  readonly checked: Checked<Gateway>;
  /** Of the exception in its list. */
  readonly index: number;
}

/** An exception of sealpost.yaml holds for its `domains` only, and a partner's are written in the partner's file. */
function scoped({ building, ownership, checked, index }: Scope, policy: OutboundPolicy): OutboundPolicy {
  const { value, tree } = checked;
  const patterns = value.exceptions[index]?.domains ?? [];
  for (const [at, pattern] of patterns.entries()) {
    const owner = ownership.of(pattern);
    if (owner === undefined) continue;
    const file = basename(owner.file);
    const message =
      owner.file === tree.origin.file ? "an exception for a domain of our own" : `${file} speaks for this domain`;
    const remedy =
      owner.file === tree.origin.file ? "write its next_hop_tls below domains" : `write the exception into ${file}`;
    building.problems.add(originAt(tree, ["exceptions", index, "domains", at]), message, remedy);
  }
  if (policy.exception === undefined) return policy;
  return { ...policy, exception: { ...policy.exception, domains: patterns } };
}

/** Stands in while there are problems, which keep the settings from being handed out. */
function unreadable(building: Building): OutboundPolicy {
  const empty = { kind: "map" as const, origin: { file: "", line: 1, column: 1 }, entries: new Map() };
  const policy = buildOutbound(building, {
    layers: [empty],
    source: "default",
    partner: null,
    permitted: false,
    origin: empty.origin,
    modes: [],
  });
  if (policy === undefined) throw new Error("an empty outbound is a policy");
  return policy;
}
