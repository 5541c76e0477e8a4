/**
 * The outbound policy of one destination: layers laid over each other, judged for dead keys and contradictions, and
 * made into plain data with the origin of every key.
 */
import type { ExceptionRecord, Origin, OutboundPolicy } from "../decide/policy.ts";
import type { TlsLevel } from "../mail/tls-requirement.ts";
import type { Building } from "./building.ts";
import { reportDeadKeys } from "./dead-keys.ts";
import { buildNextHop, checkHops } from "./hops.ts";
import { buildLadder } from "./ladder.ts";
import { keyAt, type Located, originsOf, overlay, partAt, plain, without } from "./located.ts";
import { type BuiltMode, modeOf, nearestMode, type StatedMode } from "./mode.ts";
import { outbound as outboundSchema } from "./schema/outbound.ts";
import { buildTlsPolicy } from "./tls-policy.ts";
import { buildTreatment, expandHeaders, reportDeadTreatment } from "./treatment.ts";

export const DEFAULT_LEVEL: TlsLevel = "encrypt";

/** A layer's `outbound` over those beneath it. A nearer `profile` states all of version and suites. */
export function compose(layers: readonly (Located | undefined)[]): Located | undefined {
  return layers.reduce(
    (under, layer) => {
      const below = expandHeaders(under, layer);
      const tls = layer && partAt(layer, ["tls"]);
      const beneath = below?.kind === "map" ? below.entries.get("tls") : undefined;
      if (
        tls?.kind !== "map" ||
        !tls.entries.has("profile") ||
        beneath?.value.kind !== "map" ||
        below?.kind !== "map"
      ) {
        return overlay(below, layer);
      }
      const bare = without(beneath.value, ["min_version", "ciphers"]);
      return overlay({ ...below, entries: new Map(below.entries).set("tls", { ...beneath, value: bare }) }, layer);
    },
    undefined as Located | undefined,
  );
}

export interface OutboundRequest {
  /** Lowest first: sealpost.yaml, partner, exception. The last one is judged for dead keys. */
  readonly layers: readonly (Located | undefined)[];
  readonly source: OutboundPolicy["source"];
  readonly partner: string | null;
  readonly permitted: boolean;
  /** For messages when nothing is written. */
  readonly origin: Origin;
  readonly exception?: ExceptionRecord;
  /** Those beside the layers: `mode` of a whole file, nearest first. */
  readonly modes: readonly StatedMode[];
}

/** Undefined when the layers do not fit together, which was reported. */
export function buildOutbound(building: Building, request: OutboundRequest): OutboundPolicy | undefined {
  const { source, partner, permitted, exception } = request;
  const merged = compose(request.layers);
  const tree: Located = merged ?? { kind: "map", origin: request.origin, entries: new Map() };
  const parsed = outboundSchema.safeParse(plain(tree.kind === "map" ? without(tree, ["unlisted"]) : tree));
  if (!parsed.success) return undefined;
  const { tls = {}, next_hop: hops } = parsed.data;
  const level = tls.level ?? DEFAULT_LEVEL;
  const own = request.layers.at(-1);
  const treatment = buildTreatment(parsed.data);
  reportDeadTreatment(own, treatment, building.problems);
  if (!reportDeadKeys(own && partAt(own, ["tls"]), level, building.problems)) return undefined;
  const place = {
    tree,
    path: ["tls"],
    weakMay: source === "exception",
    level: DEFAULT_LEVEL,
    published: "honour",
  } as const;
  const policy = buildTlsPolicy(building, tls, place);
  const nextHop = hops === undefined ? [{ kind: "mx" as const }] : buildNextHop(building, hops, tree, ["next_hop"]);
  checkHops(building, { tree, nextHop, hopPath: ["next_hop"], tlsPath: ["tls"], own }, policy);
  const onExpiry = buildLadder(building, parsed.data.on_expiry ?? [], tree);
  for (const [index, step] of onExpiry.entries()) {
    const hopPath = ["on_expiry", index, "next_hop"];
    if (step.kind === "next-hop")
      checkHops(building, { tree, nextHop: step.nextHop, hopPath, tlsPath: ["tls"], own }, policy);
  }
  const isOwnMode = exception !== undefined && own !== undefined && keyAt(own, ["mode"]) !== undefined;
  const nearest = isOwnMode ? undefined : nearestMode(request.modes);
  return {
    partner,
    source,
    permitted,
    nextHop,
    tls: policy,
    treatment,
    lifetimeMs: parsed.data.lifetime ?? building.lifetimeMs,
    ...(isOwnMode ? untilItEnds(exception, parsed.data) : modeOf(nearest)),
    onExpiry,
    origins: isOwnMode ? originsOf(tree) : { ...originsOf(withoutMode(tree)), ...nearest?.origins },
    ...(exception !== undefined && { exception }),
  };
}

/** The layers below may say it, too, but a whole file that is nearer counts. */
function withoutMode(tree: Located): Located {
  return tree.kind === "map" ? without(tree, ["mode", "report_until"]) : tree;
}

/** An exception's own report ends with the exception. */
function untilItEnds({ endsAt }: ExceptionRecord, { mode }: StatedMode): BuiltMode {
  return mode === "report" ? { mode, reportEndsAt: endsAt } : { mode: "enforce" };
}
