/**
 * One `tls` map, inheritance applied, to the policy a session is judged by; and the contradictions within it.
 * `match` sets are expanded and files are read here, so that the policy is plain data.
 */
import { createSecureContext } from "node:tls";
import type { MatchEntry, Origin, TlsPolicy } from "../decide/policy.ts";
import type { TlsProfile } from "../mail/tls-profile.ts";
import { isAtLeast, type Pin, type TlsLevel } from "../mail/tls-requirement.ts";
import type { Building } from "./building.ts";
import { readKeyPair, readTrust } from "./key-pairs.ts";
import { keyAt, type Located, originAt, type Path } from "./located.ts";
import { nearest, type Problems, shown } from "./problems.ts";
import type { Match, OutboundTls } from "./schema/outbound.ts";
import { tlsProfile } from "./tls-profiles.ts";

/** Where a `tls` map stands, and whether weak versions may be used: exceptions only. */
export interface TlsPlace {
  readonly tree: Located;
  readonly path: Path;
  readonly weakMay: boolean;
  /** Where none is written. */
  readonly level: TlsLevel;
  /** What `dane` and `mta_sts` are where they are not written. */
  readonly published: "honour" | "ignore";
}

export function buildTlsPolicy(building: Building, tls: OutboundTls, place: TlsPlace): TlsPolicy {
  const { tree, path } = place;
  const at = (key: string) => keyAt(tree, [...path, key]) ?? originAt(tree, path);
  const level = tls.level ?? place.level;
  if (level === "fingerprint") checkPins(building, tls.fingerprints, at);
  if (tls.crl !== undefined && tls.ca === undefined) {
    building.problems.add(at("crl"), "crl has no effect without ca", "write the ca it belongs to beside it");
  }
  const pair = tls.client_certificate;
  const client = pair && readKeyPair(building, tree, [...path, "client_certificate"], pair);
  const profile = effectiveProfile(building.problems, tls, at);
  refuseWeak(building.problems, profile, place, at);
  return {
    level,
    match: expandMatch(building, tls.match ?? [], tree, [...path, "match"]),
    trust: readTrust(building, tree, { path, ca: tls.ca, crl: tls.crl }, building.trust),
    fingerprints: (tls.fingerprints ?? []).map(pinOf),
    minVersion: profile.minVersion,
    profile,
    ...(client !== undefined && { clientCertificate: { certificate: client.certificate, key: client.key } }),
    ...(tls.servername !== undefined && { servername: tls.servername }),
    dane: tls.dane ?? place.published,
    mtaSts: tls.mta_sts ?? place.published,
    tlsRequiredNo: "tls_required_no" in tls ? (tls.tls_required_no ?? "ignore") : "ignore",
  };
}

type Pins = NonNullable<OutboundTls["fingerprints"]>;
type At = (key: string) => Origin;

function pinOf({ sha256, of, not_after }: Pins[number]): Pin {
  return { sha256, of, ...(not_after !== undefined && { notAfter: not_after }) };
}

function checkPins({ problems, now }: Building, pins: Pins | undefined, at: At): void {
  if (pins === undefined || pins.length === 0) {
    problems.add(
      at("level"),
      "level fingerprint without fingerprints",
      "write fingerprints: [SHA-256 of the certificate]",
    );
  } else if (pins.every(({ not_after }) => not_after !== undefined && not_after <= now)) {
    problems.warn(at("fingerprints"), "every fingerprint has ended: mail will wait", "add the one in use now");
  }
}

/** The names a certificate may carry, `set:NAME` replaced by what the set holds. */
export function expandMatch(building: Building, match: Match, tree: Located, path: Path): MatchEntry[] {
  return match.flatMap((entry, index): readonly MatchEntry[] => {
    if (typeof entry === "string" || !("set" in entry)) return [entry];
    const found = building.sets?.get(entry.set);
    if (found !== undefined || building.sets === undefined) return found ?? [];
    const near = nearest(entry.set, building.sets.keys());
    const remedy = near === undefined ? "define it under match_sets in sealpost.yaml" : `did you mean set:${near}?`;
    building.problems.add(originAt(tree, [...path, index]), `there is no match set ${shown(entry.set)}`, remedy);
    return [];
  });
}

/** The profile with `min_version` and `ciphers` laid over it; its name says so. (A nearer profile has removed those.) */
function effectiveProfile(problems: Problems, tls: OutboundTls, at: At): TlsProfile {
  const base = tls.profile ?? tlsProfile("intermediate");
  if (base === undefined) throw new Error("the profile intermediate is always there");
  const { min_version: version = base.minVersion, ciphers } = tls;
  if (version === base.minVersion && ciphers === undefined) return base;
  // Suites of older versions are missing where the profile does not go so low.
  const floor = isAtLeast(version, base.minVersion) ? base : (tlsProfile("legacy") ?? base);
  if (ciphers !== undefined && !isCipherList(ciphers)) {
    problems.add(
      at("ciphers"),
      `OpenSSL knows no cipher list ${shown(ciphers)}`,
      "write suites separated by colons, as `openssl ciphers` prints them",
    );
    return base;
  }
  return { ...floor, name: `${base.name}+custom`, minVersion: version, ciphers: ciphers ?? floor.ciphers };
}

function isCipherList(ciphers: string): boolean {
  try {
    createSecureContext({ ciphers });
    return true;
  } catch {
    return false;
  }
}

/** TLS 1.0 and 1.1 are for exceptions, which end by themselves. */
function refuseWeak(problems: Problems, profile: TlsProfile, place: TlsPlace, at: At): void {
  if (place.weakMay || isAtLeast(profile.minVersion, "TLSv1.2")) return;
  const key = keyAt(place.tree, [...place.path, "min_version"]) === undefined ? "profile" : "min_version";
  const remedy = "write TLSv1.2 or TLSv1.3, or an exception with an end date";
  problems.add(at(key), `${profile.minVersion} is permitted in exceptions only`, remedy);
}
