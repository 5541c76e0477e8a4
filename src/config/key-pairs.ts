/** Certificates with their keys, CA bundles and revocation lists that the configuration names: read and judged. */
import type { OwnCertificate } from "../accept/settings.ts";
import type { TrustSet } from "../mail/tls-requirement.ts";
import type { Building } from "./building.ts";
import { checkBundle, checkKeyPair, checkRevocationList, trustSet } from "./certificates.ts";
import { type Located, originAt, type Path } from "./located.ts";

interface PairFiles {
  readonly certificate: string;
  readonly key: string;
  readonly allow_group_read?: boolean | undefined;
}

/** `path` leads to the map of the two. */
export function readKeyPair(
  building: Building,
  tree: Located,
  path: Path,
  pair: PairFiles,
): OwnCertificate | undefined {
  const { access, problems, now } = building;
  const at = originAt(tree, [...path, "certificate"]);
  const groupMay = pair.allow_group_read ?? building.groupMay;
  const certificate = access.text(at, pair.certificate);
  const key = access.secret(originAt(tree, [...path, "key"]), pair.key, groupMay);
  if (certificate === undefined || key === undefined) return undefined;
  const judged = checkKeyPair(certificate, key, now);
  if (!("message" in judged)) return { certificate, key, names: judged.names };
  problems.add(at, `${pair.certificate}: ${judged.message}`, judged.remedy);
  return undefined;
}

/** The certificates of the bundles a key names. */
export function readBundles(
  building: Building,
  tree: Located,
  path: Path,
  files: readonly string[],
): string[] | undefined {
  const lists = files.map((file, index) => {
    const origin = originAt(tree, [...path, index]);
    const pem = building.access.text(origin, file);
    const bundle = pem === undefined ? undefined : checkBundle(pem);
    if (bundle === undefined || !("message" in bundle)) return bundle?.certificates;
    building.problems.add(origin, `${file}: ${bundle.message}`, bundle.remedy);
    return undefined;
  });
  return lists.every((list) => list !== undefined) ? lists.flat() : undefined;
}

export function readRevocations(
  building: Building,
  tree: Located,
  path: Path,
  files: readonly string[],
): string[] | undefined {
  const lists = files.map((file, index) => {
    const origin = originAt(tree, [...path, index]);
    const pem = building.access.text(origin, file);
    const judged = pem === undefined ? undefined : checkRevocationList(pem);
    if (judged === undefined || !("message" in judged)) return judged?.lists;
    building.problems.add(origin, `${file}: ${judged.message}`, judged.remedy);
    return undefined;
  });
  return lists.every((list) => list !== undefined) ? lists.flat() : undefined;
}

/** `ca` and `crl` of a map at `path`; where no `ca` is written, `otherwise`. */
export function readTrust(
  building: Building,
  tree: Located,
  written: {
    readonly path: Path;
    readonly ca: readonly string[] | undefined;
    readonly crl: readonly string[] | undefined;
  },
  otherwise: TrustSet,
): TrustSet {
  const { path, ca, crl } = written;
  if (ca === undefined) return otherwise;
  const certificates = readBundles(building, tree, [...path, "ca"], ca);
  const lists = readRevocations(building, tree, [...path, "crl"], crl ?? []);
  return certificates === undefined || lists === undefined ? otherwise : trustSet(certificates, lists);
}
