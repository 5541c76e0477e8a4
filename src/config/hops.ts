/** `next_hop`, wherever it is written: the hops as the client tries them, and where route and level exclude each other. */
import { isIP } from "node:net";
import type { NextHop, OutboundPolicy } from "../decide/policy.ts";
import type { TlsLevel } from "../mail/tls-requirement.ts";
import type { Building } from "./building.ts";
import { keyAt, type Located, originAt, type Path } from "./located.ts";
import { readPassword } from "./password-file.ts";
import type { Hops } from "./schema/outbound.ts";

/** Levels that need a name. */
const NAMED: readonly TlsLevel[] = ["verify", "secure", "authenticated"];
const AUTHENTICATED: readonly TlsLevel[] = ["verify", "secure", "fingerprint", "authenticated", "dane-only"];

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
