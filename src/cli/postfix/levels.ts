/**
 * The levels of a Postfix policy table, with `match` and `tafile`, which belong to them. One that is weaker than what
 * holds here without a file cannot be written in one: what holds here stays, and the exception to write is told.
 */
import { parseDigest, parseNamePattern } from "../../config/scalars.ts";
import type { TlsLevel } from "../../mail/tls-requirement.ts";
import type { Asked, Part, Standard, TlsKeys } from "./demand.ts";
import type { Attribute } from "./table.ts";

/** Levels at which what a destination publishes counts. */
const PUBLISHED: readonly TlsLevel[] = ["may", "encrypt", "verify", "authenticated"];
const NAMES_BY_LEVEL: Readonly<Record<"verify" | "secure", readonly string[]>> = {
  verify: ["hostname"],
  secure: ["nexthop", "dot-nexthop"],
};

export function levelPart(level: string, attributes: readonly Attribute[], asked: Asked): Part {
  switch (level) {
    case "none":
    case "may":
    case "encrypt":
      return atLeast(level, asked.standard);
    case "dane":
    case "half-dane":
    case "halfdane":
      return opportunisticDane(asked.standard);
    case "dane-only":
      return { tls: { level } };
    case "fingerprint":
      return pins(valuesOf(attributes, "match"));
    case "verify":
    case "secure":
      return names(level, attributes, asked);
    default:
      return { closed: `Postfix knows no level ${JSON.stringify(level)} and lets the mail wait` };
  }
}

function valuesOf(attributes: readonly Attribute[], name: string): readonly string[] {
  return attributes.filter((one) => one.name === name).map(({ value }) => value);
}

/** none < may < encrypt < any that authenticates. */
function rank(level: TlsLevel): number {
  return level === "none" ? 0 : level === "may" ? 1 : level === "encrypt" ? 2 : 3;
}

function atLeast(level: "none" | "may" | "encrypt", standard: Standard): Part {
  if (level !== "none" && rank(level) >= rank(standard.level)) return { tls: { level } };
  return weaker(level, level, standard);
}

/** `wanted`: the level here that would let mail go as it did. */
function weaker(level: string, wanted: TlsLevel, standard: Standard): Part {
  const note = `${level} is weaker than the default ${standard.level}, which holds here`;
  return { stricter: true, exception: { level: wanted }, notes: [note] };
}

/** RFC 7672 as Postfix does it: DANE where it is published, else `may`. */
function opportunisticDane(standard: Standard): Part {
  if (standard.level === "may") return { tls: { level: "may", dane: "honour" } };
  if (!PUBLISHED.includes(standard.level)) return weaker("dane", "may", standard);
  const note = `dane is may where no TLSA records are: weaker than the default ${standard.level}, which holds here, DANE with it`;
  return { tls: { dane: "honour" }, stricter: true, exception: { level: "may" }, notes: [note] };
}

/** Postfix compares certificate and public key alike; digests of other algorithms cannot be turned into SHA-256. */
function pins(matches: readonly string[]): Part {
  const written = matches.flatMap((value) => value.split("|")).filter((one) => one.trim() !== "");
  if (written.length === 0) {
    return { closed: "the fingerprints stand in main.cf (smtp_tls_fingerprint_cert_match): write them here" };
  }
  const found = written.map((one) => ({ one, sha256: parseDigest(one.trim()) }));
  const fingerprints = found.flatMap(({ sha256 }) =>
    sha256 === undefined
      ? []
      : ([
          { sha256, of: "certificate" },
          { sha256, of: "public-key" },
        ] as const),
  );
  const others = found.filter(({ sha256 }) => sha256 === undefined).map(({ one }) => `${one.slice(0, 11)}…`);
  if (fingerprints.length === 0) {
    return { closed: `no fingerprint is SHA-256 (${others.join(", ")}): sealpost probe DOMAIN shows the one in use` };
  }
  const part: Part = { tls: { level: "fingerprint", fingerprints } };
  if (others.length === 0) return part;
  return { ...part, stricter: true, notes: [`left out, not SHA-256: ${others.join(", ")}`] };
}

function names(level: "verify" | "secure", attributes: readonly Attribute[], asked: Asked): Part {
  const written = valuesOf(attributes, "match").flatMap((value) => value.split(":"));
  const understood = written.flatMap((one) => nameOf(one) ?? []);
  const lost = written.filter((one) => nameOf(one) === undefined);
  if (written.length > 0 && understood.length === 0) return { closed: `match names nothing: ${written.join(":")}` };
  const trust = anchors(valuesOf(attributes, "tafile"), asked);
  if (trust.closed !== undefined) return trust;
  const match = understood.length > 0 ? understood : NAMES_BY_LEVEL[level];
  const notes = lost.length === 0 ? [] : [`left out of match, no certificate has it: ${lost.join(", ")}`];
  const stricter = lost.length === 0 ? {} : ({ stricter: true } as const);
  // The name from MX proves nothing without DNSSEC: Postfix trusts it here all the same, and so does verify.
  const isVerify = level === "secure" && match.every((one) => one === "hostname");
  if (isVerify) notes.push("secure with match=hostname is what verify does, and is written so");
  else if (level === "secure" && match.includes("hostname")) {
    notes.push("hostname in match counts here where the MX records are signed (DNSSEC)");
    return { tls: { level, match, ...trust.tls }, notes, stricter: true };
  }
  return { tls: { level: isVerify ? "verify" : level, match, ...trust.tls }, notes, ...stricter };
}

function nameOf(written: string): string | undefined {
  const name = written.toLowerCase();
  if (name === "hostname" || name === "nexthop" || name === "dot-nexthop") return name;
  const pattern = name.startsWith("*") ? undefined : parseNamePattern(name);
  if (pattern === undefined) return undefined;
  return "host" in pattern ? pattern.host : `.${pattern.below}`;
}

/** What is not there must not become "any CA". */
function anchors(written: readonly string[], { absolute, isFile }: Asked): Part {
  if (written.length === 0) return {};
  const paths = written.map(absolute);
  const gone = paths.filter((path) => !isFile(path));
  if (gone.length > 0) return { closed: `tafile cannot be read here: ${gone.join(", ")}: copy it, and write ca: PATH` };
  const tls: TlsKeys = { ca: paths };
  return { tls };
}
