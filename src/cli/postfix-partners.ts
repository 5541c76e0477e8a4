/**
 * Postfix's policies made into partner files, and what of them has no equal here. Pure. Never weaker than what Postfix
 * demanded, nor than the default: an entry that would be is left out and told.
 */
import { parseNamePattern } from "../config/scalars.ts";
import { parseDomainName } from "../mail/domain-name.ts";
import { isAtLeast, type TlsLevel, type TlsVersion } from "../mail/tls-requirement.ts";
import { leastVersion, type PostfixEntry } from "./postfix-policy.ts";

export interface PartnerDraft {
  readonly id: string;
  readonly domains: readonly string[];
  readonly level: TlsLevel;
  readonly yaml: string;
}

export interface Note {
  readonly line: number;
  readonly key: string;
  readonly text: string;
  /** The entry was not imported. */
  readonly leftOut: boolean;
}

export interface Import {
  readonly partners: readonly PartnerDraft[];
  readonly notes: readonly Note[];
}

export interface Here {
  readonly level: TlsLevel;
  readonly minVersion: TlsVersion;
  /** True when a partner file or `domains` speaks for it. */
  readonly isTaken: (domain: string) => boolean;
  /** Absolute path of a file that the source names. */
  readonly absolute: (path: string) => string;
}

interface Read {
  readonly entry: PostfixEntry;
  readonly domain: string;
  readonly below: boolean;
  readonly tls: readonly string[];
  readonly level: TlsLevel;
}

export function partnersFrom(entries: readonly PostfixEntry[], here: Here): Import {
  const notes: Note[] = [];
  const seen = new Set<string>();
  const read = entries.flatMap((entry) => {
    const { line, key } = entry;
    const note = (text: string, leftOut = false): void => void notes.push({ line, key, text, leftOut });
    if (seen.has(key)) {
      note("stands twice; the first one counts, as in Postfix's indexed tables", true);
      return [];
    }
    seen.add(key);
    return readEntry(entry, here, note) ?? [];
  });
  return { partners: merged(read), notes };
}

type Tell = (text: string, leftOut?: boolean) => void;

function readEntry(entry: PostfixEntry, here: Here, note: Tell): Read | undefined {
  const { key } = entry;
  if (key.startsWith("[") || /:\d+$/.test(key) || /:[a-z]+$/.test(key)) {
    note(
      `is a next hop: policies here follow the recipient's domain. Write next_hop: "${key}" into a partner's file`,
      true,
    );
    return undefined;
  }
  const below = key.startsWith(".");
  const domain = parseDomainName(below ? key.slice(1) : key);
  if (domain === undefined) {
    note("is not a domain name", true);
    return undefined;
  }
  if (here.isTaken(below ? `.${domain}` : domain)) {
    note("belongs to a partner file or to our own domains already", true);
    return undefined;
  }
  const level = levelOf(entry, here, note);
  const tls = level && attributesOf(entry, level, here, note);
  return tls && level && { entry, domain, below, level, tls: [`level: ${level}`, ...tls] };
}

/** Undefined: it cannot be had, which was told. */
function levelOf({ level }: PostfixEntry, here: Here, note: Tell): TlsLevel | undefined {
  switch (level) {
    case "encrypt":
      note("sealpost demands in addition what the domain publishes (DANE, MTA-STS)");
      return "encrypt";
    case "verify":
    case "secure":
    case "fingerprint":
    case "dane-only":
      return level;
    case "dane":
    case "half-dane":
      if (here.level === "may") return "may";
      note(`${level} falls back to opportunistic TLS in Postfix: here it is encrypt, with DANE where it is published`);
      return "encrypt";
    case "may":
    case "none":
      if (level === "may" && here.level === "may") return "may";
      note(
        `level ${level} is weaker than the default ${here.level}. If that is meant, write an exception: ` +
          `exceptions: [{until: DATE, approved_by: WHO@DOMAIN, reason: "WHY", outbound: {tls: {level: ${level}}}}]`,
        true,
      );
      return undefined;
    default:
      note(`the level ${JSON.stringify(level)} is not known`, true);
      return undefined;
  }
}

function attributesOf(entry: PostfixEntry, level: TlsLevel, here: Here, note: Tell): string[] | undefined {
  const lines: string[] = [];
  const all = (name: string): string[] =>
    entry.attributes.filter((one) => one.name === name).map(({ value }) => value.replace(/^\{(.*)\}$/, "$1"));
  for (const word of entry.strange) note(`${JSON.stringify(word)} is no attribute and was left out`);
  const matches = all("match");
  if (level === "fingerprint") {
    const pins = pinsOf(matches);
    if (pins === undefined) {
      note("its fingerprints are not SHA-256 digests: ask the partner for those", true);
      return undefined;
    }
    lines.push("fingerprints:", ...pins.map((pin) => `  - ${pin}`));
  } else if (matches.length > 0) {
    const names = matches.flatMap((value) => value.split(":"));
    if (level !== "verify" && level !== "secure") note(`match has no effect at level ${level}`);
    else if (names.every(isMatch)) lines.push(`match: [${names.join(", ")}]`);
    else {
      note("a name in match is no host name", true);
      return undefined;
    }
  }
  const anchors = all("tafile");
  if (anchors.length > 0 && (level === "verify" || level === "secure")) {
    lines.push(`ca: [${anchors.map((path) => JSON.stringify(here.absolute(path))).join(", ")}]`);
  } else if (anchors.length > 0) note(`tafile has no effect at level ${level} here`);
  lines.push(...versionLines(all("protocols"), here, note), ...serverNameLines(all("servername"), note));
  for (const { name, value } of entry.attributes) {
    if (!["match", "tafile", "protocols", "servername"].includes(name)) note(`${name}=${value}: ${without(name)}`);
  }
  return lines;
}

/** Postfix compares with the certificate and with the public key. */
function pinsOf(matches: readonly string[]): string[] | undefined {
  const digests = matches.flatMap((value) => value.split("|")).map((one) => one.replaceAll(":", "").toLowerCase());
  if (digests.length === 0 || !digests.every((one) => /^[0-9a-f]{64}$/.test(one))) return undefined;
  return digests.flatMap((sha256) => ["certificate", "public-key"].map((of) => `{sha256: "${sha256}", of: ${of}}`));
}

function isMatch(name: string): boolean {
  return ["hostname", "nexthop", "dot-nexthop"].includes(name) || parseNamePattern(name) !== undefined;
}

function versionLines(protocols: readonly string[], here: Here, note: Tell): string[] {
  return protocols.flatMap((value) => {
    const least = leastVersion(value);
    if (least === undefined) note(`protocols=${value} names no least version; the profile decides`);
    else if (!isAtLeast(least, here.minVersion))
      note(`protocols=${value} permits less than ${here.minVersion}, which stays`);
    return least !== undefined && isAtLeast(least, here.minVersion) ? [`min_version: ${least}`] : [];
  });
}

function serverNameLines(names: readonly string[], note: Tell): string[] {
  return names.flatMap((name) => {
    if (name === "hostname") return []; // what is sent here anyhow
    if (parseDomainName(name) !== undefined) return [`servername: ${name}`];
    note(`servername=${name} is no host name and was left out`);
    return [];
  });
}

function without(name: string): string {
  if (name === "ciphers" || name === "exclude") return "has no equal, the TLS profile decides (profile:)";
  if (name === "connection_reuse") return "has no equal, sessions are always used again";
  if (name.startsWith("policy_") || name === "mx_host_pattern")
    return "is what an MTA-STS resolver wrote: sealpost looks the policy up itself";
  return "has no equal";
}

/** A domain and all below it, with one policy, are one partner. */
function merged(read: readonly Read[]): PartnerDraft[] {
  const drafts = new Map<string, Read[]>();
  for (const one of read) {
    const key = `${one.domain} ${JSON.stringify(one.tls)}`;
    drafts.set(key, [...(drafts.get(key) ?? []), one]);
  }
  return [...drafts.values()].map((group) => {
    const [{ domain, level, tls, below }] = group as [Read];
    const domains = group
      .map((one) => (one.below ? `.${one.domain}` : one.domain))
      .toSorted((a, b) => b.length - a.length)
      .toReversed();
    const id = group.length === 1 && below ? `below.${domain}` : domain;
    const lines = group.map(({ entry }) => entry.line).join(", ");
    const yaml = [
      `# Made of Postfix's TLS policy, line ${lines}.`,
      `domains: [${domains.join(", ")}]`,
      "outbound:",
      "  tls:",
      ...tls.map((line) => `    ${line}`),
      "",
    ].join("\n");
    return { id, domains, level, yaml };
  });
}
