/**
 * The outbound policy of one destination: layers laid over each other, judged for dead keys and contradictions, and
 * made into plain data with the origin of every key.
 */
import { isIP } from "node:net";
import type { ExceptionRecord, NextHop, Origin, OutboundPolicy } from "../decide/policy.ts";
import type { TlsLevel } from "../mail/tls-requirement.ts";
import type { Building } from "./building.ts";
import { reportDeadKeys } from "./dead-keys.ts";
import { buildLadder } from "./ladder.ts";
import { keyAt, type Located, originAt, originsOf, overlay, partAt, plain, type Path, without } from "./located.ts";
import { type BuiltMode, modeOf, type StatedMode } from "./mode.ts";
import { readPassword } from "./password-file.ts";
import { type Hops, outbound as outboundSchema } from "./schema/outbound.ts";
import { buildTlsPolicy } from "./tls-policy.ts";
import { buildTreatment, expandHeaders, reportDeadTreatment } from "./treatment.ts";

export const DEFAULT_LEVEL: TlsLevel = "encrypt";
/** Levels that need a name. */
const NAMED: readonly TlsLevel[] = ["verify", "secure", "authenticated"];
const AUTHENTICATED: readonly TlsLevel[] = ["verify", "secure", "fingerprint", "authenticated", "dane-only"];

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
  return {
    partner,
    source,
    permitted,
    nextHop,
    tls: policy,
    treatment,
    lifetimeMs: parsed.data.lifetime ?? building.lifetimeMs,
    ...reporting(request, parsed.data),
    onExpiry,
    origins: originsOf(tree),
    ...(exception !== undefined && { exception }),
  };
}

/** `outbound.mode` of the nearest layer, else of the whole file; an exception's report ends with the exception. */
function reporting({ modes, exception, layers }: OutboundRequest, merged: StatedMode): BuiltMode {
  const own = layers.at(-1);
  const isOwn = own !== undefined && keyAt(own, ["mode"]) !== undefined;
  if (exception === undefined || !isOwn) return modeOf(modes);
  return merged.mode === "report" ? { mode: "report", reportEndsAt: exception.endsAt } : { mode: "enforce" };
}

/** The hops as the client tries them; passwords are read from their files. */
export function buildNextHop(building: Building, hops: Hops, tree: Located, path: Path): NextHop[] {
  return hops.map((hop, index): NextHop => {
    const { to } = hop;
    const here = [...path, index];
    if (hop.auth !== undefined && to.kind !== "host") {
      const remedy = 'write to: "[host]:port"';
      building.problems.add(originAt(tree, here), "a password is sent to a named host only", remedy);
    }
    if (hop.implicit_tls && to.kind !== "host") {
      building.problems.add(originAt(tree, here), "implicit_tls needs a named host", 'write to: "[host]:465"');
    }
    if (to.kind !== "host") return to;
    const auth = hop.auth && passwordOf(building, hop.auth, tree, [...here, "auth"]);
    const port = to.port ?? building.port;
    return { kind: "host", host: to.host, port, implicitTls: hop.implicit_tls, ...(auth !== undefined && { auth }) };
  });
}

type Auth = NonNullable<Hops[number]["auth"]>;

function passwordOf(
  building: Building,
  auth: Auth,
  tree: Located,
  path: Path,
): { user: string; password: string } | undefined {
  const { user, password, password_file: file, allow_group_read: groupMay } = auth;
  if ((password === undefined) === (file === undefined)) {
    const said = file === undefined ? "auth without a password" : "password and password_file exclude each other";
    building.problems.add(originAt(tree, path), said, "write password_file: PATH");
    return undefined;
  }
  if (file === undefined) return { user, password: password ?? "" };
  const at = originAt(tree, [...path, "password_file"]);
  const found = readPassword(building, at, file, groupMay ?? building.groupMay);
  return found === undefined ? undefined : { user, password: found };
}

export interface HopPlace {
  readonly tree: Located;
  readonly nextHop: readonly NextHop[];
  readonly hopPath: Path;
  readonly tlsPath: Path;
  /** What the nearest layer writes; absent where there is one only. */
  readonly own?: Located | undefined;
}

/** Where the route and the level exclude each other. */
export function checkHops({ problems }: Building, place: HopPlace, tls: OutboundPolicy["tls"]): void {
  const { tree, nextHop, hopPath, tlsPath } = place;
  const { level, match } = tls;
  // Where route and level come from different layers, the nearer one brought them together.
  const own = (key: string) => place.own && keyAt(place.own, [...tlsPath, key]);
  const inherited = place.own !== undefined && keyAt(place.own, hopPath) === undefined;
  const hopAt = (index: number) => (inherited ? own("level") : undefined) ?? originAt(tree, [...hopPath, index]);
  const named = match.some((entry) => typeof entry !== "string");
  for (const [index, hop] of nextHop.entries()) {
    if (hop.kind !== "host") continue;
    if (hop.auth !== undefined && !AUTHENTICATED.includes(level)) {
      const remedy = "write tls: {level: secure}, verify or fingerprint";
      problems.add(hopAt(index), `auth at level ${level} would hand the password to anybody`, remedy);
    } else if (hop.implicitTls && level === "none") {
      problems.add(hopAt(index), "implicit_tls at level none, which tries no TLS", "remove one of them");
    } else if (isIP(hop.host) !== 0 && NAMED.includes(level) && !named) {
      const remedy = "write match: [name.in.its.certificate]";
      problems.add(hopAt(index), `at level ${level} an address needs a name to match`, remedy);
    } else if (isIP(hop.host) !== 0 && level === "dane-only") {
      problems.add(
        hopAt(index),
        "an address has no TLSA records, which level dane-only demands",
        "write its host name",
      );
    }
  }
  const onlyMx = match.length > 0 && match.every((entry) => entry === "hostname");
  if (level === "secure" && onlyMx && nextHop.every(({ kind }) => kind !== "host")) {
    const at = own("match") ?? own("level") ?? keyAt(tree, [...tlsPath, "match"]) ?? originAt(tree, tlsPath);
    const remedy = "write match: [nexthop, dot-nexthop], the host's name, or level: verify";
    problems.add(at, "match: hostname can never hold at level secure, where names from MX prove nothing", remedy);
  }
}
