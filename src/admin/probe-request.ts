/** A probe as people ask for it, in a JSON body or on the command line, made into a ProbeRequest. Nothing is guessed. */
import { isIP } from "node:net";
import { parseDomainName } from "../mail/domain-name.ts";
import { formatDomain, parseMailDomain } from "../mail/mailbox.ts";
import type { TlsLevel } from "../mail/tls-requirement.ts";
import type { ProbeRequest } from "../report/probe-report.ts";
import type { BadRequest } from "./queue-query.ts";

/** An object, so that a new level does not compile without its place here. */
const LEVELS: Readonly<Record<TlsLevel, true>> = {
  none: true,
  may: true,
  encrypt: true,
  authenticated: true,
  "dane-only": true,
  verify: true,
  secure: true,
  fingerprint: true,
};

const WORDS = ["domain", "host", "level", "transcript"];

export function readProbeRequest(
  given: Readonly<Record<string, unknown>>,
): { readonly request: ProbeRequest } | BadRequest {
  const strange = Object.keys(given).find((word) => !WORDS.includes(word));
  if (strange !== undefined) return refused(`There is no ${quoted(strange)} in a probe`, `Use ${WORDS.join(", ")}.`);
  const { domain, host, level, transcript = false } = given;
  const read = typeof domain === "string" ? parseMailDomain(domain) : undefined;
  if (read === undefined) return refused(`${quoted(domain)} is no domain`, "Write a domain, as acme.example.");
  const name = host === undefined ? undefined : readHost(host);
  if (host !== undefined && name === undefined)
    return refused(`${quoted(host)} is no host`, "Write the name of one of its MX hosts, or an address.");
  if (level !== undefined && !isLevel(level))
    return refused(`${quoted(level)} is no level`, `Write one of ${Object.keys(LEVELS).join(", ")}.`);
  if (typeof transcript !== "boolean") return refused("transcript is neither true nor false", "Write true or false.");
  const request = { domain: formatDomain(read), transcript };
  return { request: { ...request, ...(name !== undefined && { host: name }), ...(level !== undefined && { level }) } };
}

function readHost(host: unknown): string | undefined {
  if (typeof host !== "string") return undefined;
  return isIP(host) !== 0 ? host.toLowerCase() : parseDomainName(host);
}

function isLevel(level: unknown): level is TlsLevel {
  return typeof level === "string" && Object.hasOwn(LEVELS, level);
}

function refused(error: string, remedy: string): BadRequest {
  return { error, remedy };
}

function quoted(value: unknown): string {
  const text = typeof value === "string" ? value : typeof value;
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
