/** Partner files to partner policies: inheritance, what may not be weaker than the default, and exceptions. */
import { basename } from "node:path";
import { honoured } from "../decide/demand.ts";
import type { Origin, OutboundPolicy, PartnerPolicy } from "../decide/policy.ts";
import { mailboxKey, parseMailbox } from "../mail/mailbox.ts";
import { isAtLeast, type TlsLevel } from "../mail/tls-requirement.ts";
import type { Building } from "./building.ts";
import { type Checked, isBroken } from "./check-schema.ts";
import { buildExceptions } from "./exceptions.ts";
import { keyAt, type Located, originAt, partAt } from "./located.ts";
import { checkModes, type StatedMode, statedMode } from "./mode.ts";
import { buildOutbound, type OutboundRequest } from "./outbound-policy.ts";
import type { Ownership } from "./ownership.ts";
import type { Problems } from "./problems.ts";
import { DAY_MS, dayOf } from "./scalars.ts";
import type { Partner } from "./schema/partner.ts";

export interface PartnerContext {
  readonly building: Building;
  readonly ownership: Ownership;
  /** `outbound` of sealpost.yaml; undefined when none is written. */
  readonly base: Located | undefined;
  /** What sealpost.yaml says of report mode, nearest first. */
  readonly modes: readonly StatedMode[];
  /** What it came to; undefined when it has problems of its own, so that partners are not judged by it. */
  readonly standard: OutboundPolicy | undefined;
}

/** The file's name without .yaml. */
export function partnerId(file: string): string {
  return basename(file, ".yaml");
}

/** Undefined when something was reported. */
export function buildPartner(
  context: PartnerContext,
  file: string,
  checked: Checked<Partner>,
): PartnerPolicy | undefined {
  const { tree, broken, value } = checked;
  const names = claimNames(context, checked);
  if (context.standard === undefined || isBroken(broken, "outbound.tls", "outbound.next_hop")) return undefined;
  const id = partnerId(file);
  const own = partAt(tree, ["outbound"]);
  const request: OutboundRequest = {
    layers: [context.base, own],
    source: "partner",
    partner: id,
    permitted: true,
    origin: tree.origin,
    modes: [statedMode(value.outbound ?? {}, tree, ["outbound"]), statedMode(value, tree, []), ...context.modes],
  };
  checkModes(context.building, checked);
  const outbound = buildOutbound(context.building, request);
  if (outbound !== undefined) refuseWeaker(context, own, outbound, context.standard);
  const exceptions = buildExceptions(context.building, value.exceptions ?? [], tree, request);
  return (
    outbound && {
      id,
      name: value.name ?? id,
      ...(value.owner !== undefined && { owner: value.owner }),
      ...names,
      outbound,
      exceptions: exceptions.map(({ policy }) => policy),
    }
  );
}

function claimNames({ building, ownership }: PartnerContext, checked: Checked<Partner>) {
  const { tree, broken } = checked;
  const { domains = [], addresses = [] } = checked.value;
  if (domains.length + addresses.length === 0 && !isBroken(broken, "domains", "addresses")) {
    const at = keyAt(tree, ["domains"]) ?? keyAt(tree, ["addresses"]) ?? tree.origin;
    building.problems.add(at, "a partner without domains and addresses", "write domains: [partner.example]");
  }
  for (const [index, pattern] of domains.entries()) ownership.claim(pattern, originAt(tree, ["domains", index]));
  const keys = addresses.map(keyOf);
  for (const [index, address] of keys.entries()) ownership.claim(address, originAt(tree, ["addresses", index]));
  return {
    addresses: keys,
    domains: domains.flatMap((pattern) => ("host" in pattern ? [pattern.host] : [])),
    subdomainsOf: domains.flatMap((pattern) => ("below" in pattern ? [pattern.below] : [])),
  };
}

function keyOf(address: string): string {
  const mailbox = parseMailbox(address);
  return mailbox === undefined ? address.toLowerCase() : mailboxKey(mailbox);
}

/** none < may < encrypt < any that authenticates (contract section 3). */
function rank(level: TlsLevel): number {
  return level === "none" ? 0 : level === "may" ? 1 : level === "encrypt" ? 2 : 3;
}

function refuseWeaker(
  { building }: PartnerContext,
  own: Located | undefined,
  { tls }: OutboundPolicy,
  { tls: standard }: OutboundPolicy,
): void {
  const written = (...keys: string[]) =>
    own && keys.map((key) => keyAt(own, ["tls", key])).find((at) => at !== undefined);
  const refuse = (at: Origin | undefined, is: string, than: string): void => {
    if (at !== undefined) report(building, at, `${is} is weaker than the default ${than}`, is);
  };
  if (rank(tls.level) < rank(standard.level)) {
    const at = written("level");
    if (at !== undefined)
      report(building, at, `level ${tls.level} is weaker than the default ${standard.level}`, `level: ${tls.level}`);
    return;
  }
  const at = written("min_version", "profile");
  if (at !== undefined && !isAtLeast(tls.minVersion, standard.minVersion)) {
    const message = `${tls.minVersion} is weaker than the default ${standard.minVersion}`;
    report(building, at, message, `min_version: ${tls.minVersion}`);
  }
  const asked = honoured(standard);
  if (asked.dane && tls.dane === "ignore") refuse(written("dane"), "dane: ignore", standard.dane);
  if (asked.mtaSts && STS_RANK.indexOf(tls.mtaSts) < STS_RANK.indexOf(standard.mtaSts))
    refuse(written("mta_sts"), `mta_sts: ${tls.mtaSts}`, standard.mtaSts);
  if (tls.tlsRequiredNo === "honour" && standard.tlsRequiredNo === "ignore" && (asked.dane || asked.mtaSts))
    refuse(written("tls_required_no"), "tls_required_no: honour", "ignore");
}

const STS_RANK = ["ignore", "honour", "require"];

function report(
  { problems, now }: { problems: Problems; now: number },
  at: Origin,
  message: string,
  wanted: string,
): void {
  const until = dayOf(now + 30 * DAY_MS);
  const exception = `- {until: ${until}, approved_by: YOU@YOUR.DOMAIN, reason: "WHY", outbound: {tls: {${wanted}}}}`;
  problems.add(at, message, `remove it, or write below exceptions: ${exception}`);
}
