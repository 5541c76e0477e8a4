/**
 * The attributes of a Postfix policy table beside `match` and `tafile`. One that Postfix does not take, or not at that
 * level, makes it keep the mail; so does what becomes of it here.
 */
import { parseDomainName } from "../../mail/domain-name.ts";
import { isAtLeast } from "../../mail/tls-requirement.ts";
import type { Asked, Part } from "./demand.ts";
import { readProtocols } from "./protocols.ts";
import type { Attribute } from "./table.ts";

const GRADES = ["export", "low", "medium", "high", "null"];
const ONCE = ["ciphers", "protocols", "servername", "exclude", "policy_ttl", "policy_type", "policy_domain"];
const REPORTED = ["policy_ttl", "policy_type", "policy_domain", "policy_string", "policy_failure", "mx_host_pattern"];
/** Suites that no profile for partners offers. */
const NEVER_OFFERED =
  /^(?:[ae]NULL|NULL|EXP(?:ORT)?\d*|LOW|MEDIUM|MD5|RC[24]|3?DES|SEED|IDEA|[ak]?DSS|[ak]?A?DH[rd]?|AECDH|k?EDH|k?DHE|[ak]?PSK|[ak]?SRP|k?RSA|SSLv[23])$/i;

export function attributeParts(level: string, attributes: readonly Attribute[], asked: Asked): readonly Part[] {
  if (level === "none") {
    return attributes.length === 0 ? [] : [{ notes: ["Postfix has no use for attributes at level none"] }];
  }
  const counts = new Map<string, number>();
  for (const { name } of attributes) counts.set(name, (counts.get(name) ?? 0) + 1);
  const twice = ONCE.filter((name) => (counts.get(name) ?? 0) > 1);
  const parts = attributes.map((attribute) => attributePart(level, attribute, asked));
  const reported = attributes.some(({ name }) => REPORTED.includes(name));
  const note = "what a resolver of MTA-STS adds for reports is left out: MTA-STS is followed here without this line";
  return [
    ...parts,
    ...twice.map((name): Part => ({ closed: `${name} is there more than once: Postfix lets the mail wait` })),
    ...(reported ? [{ notes: [note] }] : []),
  ];
}

function attributePart(level: string, { name, value }: Attribute, asked: Asked): Part {
  switch (name) {
    case "match":
      return belongs(["fingerprint", "verify", "secure"], level, name, value);
    case "tafile":
      return belongs(["verify", "secure"], level, name, value);
    case "ciphers":
      return grade(value, asked);
    case "protocols":
      return versions(value, asked);
    case "exclude":
      return exclusions(value, asked);
    case "servername":
      return sni(value, asked);
    case "connection_reuse":
      return { notes: ["connection_reuse has no equal: sessions are reused here (queue.messages_per_connection)"] };
    case "enable_rpk":
      if (value.toLowerCase() !== "yes") return {};
      return { stricter: true, notes: ["enable_rpk has no equal: a host must show a certificate"] };
    default:
      if (REPORTED.includes(name)) return {};
      return { closed: `the attribute ${name} is unknown: Postfix lets mail wait for what it does not know` };
  }
}

function belongs(levels: readonly string[], level: string, name: string, value: string): Part {
  if (!levels.includes(level)) return { closed: `${name} is not for level ${level}: Postfix lets the mail wait` };
  return value === "" ? { closed: `${name} is empty: Postfix lets the mail wait` } : {};
}

function grade(value: string, { standard }: Asked): Part {
  if (!GRADES.includes(value.toLowerCase())) return { closed: `ciphers=${value} is no grade of Postfix` };
  if (value.toLowerCase() === "null") {
    return { stricter: true, notes: ["ciphers=null encrypts nothing: that is not done here"] };
  }
  return { notes: [`ciphers=${value}: the profile ${standard.profile} holds here, which is stricter`] };
}

function versions(value: string, { standard }: Asked): Part {
  const read = readProtocols(value);
  if (!read.ok) return { closed: `protocols=${value}: ${read.why}` };
  const { lowest, highest } = read;
  const notes =
    highest === "TLSv1.3" ? [] : [`protocols=${value}: there is no highest version here, TLSv1.3 is offered as well`];
  if (isAtLeast(lowest, standard.minVersion)) return { tls: { min_version: lowest }, notes };
  const note = `protocols=${value}: ${lowest} is weaker than the default ${standard.minVersion}, which holds here`;
  return { stricter: true, exception: { min_version: lowest }, notes: [note, ...notes] };
}

/** Taken out of the default's suites; as in Postfix, those of TLS 1.3 stay. */
function exclusions(value: string, { standard }: Asked): Part {
  const excluded = value.split(/[:,\s]+/).filter((name) => name !== "");
  const odd = excluded.filter((name) => !/^[A-Za-z0-9][A-Za-z0-9+_.-]*$/.test(name));
  if (odd.length > 0) return { closed: `exclude names no suites: ${odd.join(", ")}` };
  const left = excluded.filter((name) => !name.split("+").some((part) => NEVER_OFFERED.test(part)));
  if (left.length === 0) return {};
  const ciphers = [standard.ciphers, ...left.map((name) => `!${name}`)].join(":");
  return {
    tls: { ciphers },
    notes: [`exclude=${left.join(":")} became a list of ciphers: it will not follow the profile`],
  };
}

/** `hostname` and `nexthop` are words of Postfix. */
function sni(value: string, { key }: Asked): Part {
  if (value.toLowerCase() === "hostname") return {};
  if (value.toLowerCase() === "nexthop") {
    const name = key.kind === "domain" ? key.domain : key.kind === "hop" ? key.name : undefined;
    if (name !== undefined) return { tls: { servername: name } };
    return { notes: ["servername=nexthop has no equal for names below a domain: the host's name is sent"] };
  }
  const name = parseDomainName(value);
  return name === undefined ? { closed: `servername=${value} is no host name` } : { tls: { servername: name } };
}
