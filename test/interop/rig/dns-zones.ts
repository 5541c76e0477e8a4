/**
 * Zones and their signatures, as BIND's tools make them: a root of its own, what it delegates to, securely or not,
 * and damage of chosen kinds done after signing.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { must } from "./processes.ts";

export interface ZoneWish {
  /** "dane.test"; the root is "." */
  readonly name: string;
  /** "mx.acme A 127.0.0.1": lines of a zone file, names relative to the zone. */
  readonly records: readonly string[];
  /**
   * `unsigned`: no keys, an insecure delegation. `expired`: signatures ended long ago.
   * `wrong-ds`: its parent vouches for another key.
   */
  readonly state?: "signed" | "unsigned" | "expired" | "wrong-ds";
  /** Of its key. Default ECDSAP256SHA256. */
  readonly algorithm?: string;
  /** Hashed denial of existence (RFC 5155). */
  readonly nsec3?: boolean;
  /** "mx.acme A": the signature of this set is damaged. */
  readonly damaged?: readonly string[];
  /** "_25._tcp.mx.acme TLSA": this set is gone although the signed zone has it, as an attacker would have it. */
  readonly stripped?: readonly string[];
}

/** Files of one zone, ready to be served. */
export interface Zone {
  readonly name: string;
  readonly file: string;
  /** DS records for its parent. */
  readonly ds: readonly string[];
  /** The key as a trust anchor, "DNSKEY 257 3 13 …". */
  readonly anchor: string | undefined;
}

const TTL = 300;

/** `server` is the address of the name server `ns` of the zone. */
export async function makeZone(parent: string, wish: ZoneWish, server: string): Promise<Zone> {
  const { name, state = "signed" } = wish;
  const folder = join(parent, name === "." ? "root" : name);
  await mkdir(folder);
  const file = join(folder, "zone");
  const head = [`$ORIGIN ${name === "." ? "." : `${name}.`}`, `$TTL ${TTL}`, "@ SOA ns root 1 3600 600 86400 60"];
  const text = [...head, "@ NS ns", `ns A ${server}`, ...wish.records, ""].join("\n");
  await writeFile(file, text);
  if (state === "unsigned") return { name, file, ds: [], anchor: undefined };
  const { key, dnskey } = await makeKey(folder, wish);
  await writeFile(file, text);
  const dates = state === "expired" ? ["-s", "20250101000000", "-e", "20250201000000"] : [];
  const denial = wish.nsec3 === true ? ["-3", "-"] : [];
  const flags = ["-z", "-P", "-O", "full", "-S", "-K", folder, "-d", folder, ...dates, ...denial];
  await must("dnssec-signzone", [...flags, "-o", name, "-f", `${file}.signed`, file]);
  await harm(`${file}.signed`, wish);
  const ds = (await must("dnssec-dsfromkey", ["-2", `${key}.key`])).replace(/^\S+/, "").trim();
  return {
    name,
    file: `${file}.signed`,
    ds: [state === "wrong-ds" ? ds.replace(/[0-9A-F]{8}$/, "00000000") : ds],
    anchor: dnskey,
  };
}

/** Lines for the parent zone: the cut, glue, and DS where there is one. */
export function delegation(zone: Zone, parent: string, server: string): string[] {
  const label = parent === "." ? zone.name : zone.name.slice(0, -parent.length - 1);
  return [`${label} NS ns.${label}`, `ns.${label} A ${server}`, ...zone.ds.map((record) => `${label} ${record}`)];
}

async function makeKey(folder: string, { name, algorithm = "ECDSAP256SHA256" }: ZoneWish) {
  const size = algorithm.startsWith("RSA") ? ["-b", "2048"] : [];
  const made = await must("dnssec-keygen", ["-q", "-K", folder, "-a", algorithm, ...size, "-f", "KSK", name]);
  const key = join(folder, made.trim());
  const dnskey = /DNSKEY .*/.exec(await readFile(`${key}.key`, "utf8"))?.[0];
  return { key, dnskey };
}

/** The signed zone has one record a line, names written out. */
async function harm(file: string, { name, damaged = [], stripped = [] }: ZoneWish): Promise<void> {
  if (damaged.length + stripped.length === 0) return;
  const full = (set: string) => {
    const [owner = "", type = ""] = set.split(" ");
    return { owner: `${owner}.${name}.`, type };
  };
  const toDamage = damaged.map(full);
  const toStrip = stripped.map(full);
  const lines = (await readFile(file, "utf8")).split("\n").flatMap((line) => {
    const [owner, , , type, covered] = line.split(/\s+/);
    const of = (sets: typeof toStrip, kind: string | undefined) =>
      sets.some((set) => set.owner === owner && set.type === kind);
    if (of(toStrip, type) || (type === "RRSIG" && of(toStrip, covered))) return [];
    return type === "RRSIG" && of(toDamage, covered) ? [line.replace(/.{8}\s*$/, "AAAAAAA=")] : [line];
  });
  await writeFile(file, lines.join("\n"));
}
