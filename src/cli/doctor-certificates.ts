/** `doctor` on certificates of ours: their dates, their names, their chain. Reads no file and asks nobody. */
import { X509Certificate } from "node:crypto";
import { getCACertificates } from "node:tls";
import { checkBundle } from "../config/certificates.ts";
import type { Settings } from "../config/settings.ts";
import { nameText } from "../mail/certificate.ts";
import { bad, type Finding, good, warn } from "./finding.ts";
import { count, printable } from "./text.ts";

const DAY_MS = 86_400_000;
/** Days before the end at which a word is due; the last two are more than a word. */
const NOTICE_DAYS = [30, 14, 7, 1];
const URGENT_DAYS = 7;

export function checkOwnCertificates(settings: Settings, now: number): Finding[] {
  const { accept, policy, hostname } = settings;
  const servers = [
    ...new Set(accept.listeners.flatMap(({ certificates }) => certificates.map((one) => one.certificate))),
  ];
  const outbounds = [policy.default, ...policy.partners.map(({ outbound }) => outbound)];
  const clients = new Set(outbounds.flatMap(({ tls }) => tls.clientCertificate?.certificate ?? []));
  const chains = servers.map(chainOf);
  return [
    ...chains.flatMap((chain) => [...checkDates("certificate", chain, now), ...checkChain(chain)]),
    ...checkHostname(chains, hostname),
    ...[...clients].flatMap((pem) => checkDates("client certificate", chainOf(pem), now)),
  ];
}

export function chainOf(pem: string): X509Certificate[] {
  const bundle = checkBundle(pem);
  return "message" in bundle ? [] : bundle.certificates.map((text) => new X509Certificate(text));
}

/** The first to end decides: a chain is good for as long as all of it is. */
export function checkDates(check: string, chain: readonly X509Certificate[], now: number): Finding[] {
  const [leaf] = chain;
  const first = chain.toSorted((a, b) => a.validToDate.getTime() - b.validToDate.getTime())[0];
  if (leaf === undefined || first === undefined) return [];
  const ends = first.validToDate.getTime();
  const left = Math.floor((ends - now) / DAY_MS);
  const which = first === leaf ? nameOf(leaf) : `${nameOf(first)}, which issued ${nameOf(leaf)},`;
  const when = ends <= now ? "has ended" : `ends in ${count(left, "day")}`;
  const text = `${which} ${when} (${first.validToDate.toISOString().slice(0, 10)}).`;
  const step = noticeStep(ends, now);
  if (step === undefined) return [good(check, text)];
  const remedy = "Renew it; the gateway takes the new files without a restart.";
  return [step <= URGENT_DAYS ? bad(check, text, remedy) : warn(check, text, remedy)];
}

/** The step of the notice that is due, in days before the end; undefined while there is time. */
export function noticeStep(ends: number, now: number): number | undefined {
  const left = Math.floor((ends - now) / DAY_MS);
  return NOTICE_DAYS.findLast((days) => left < days);
}

function checkChain(chain: readonly X509Certificate[]): Finding[] {
  const [leaf] = chain;
  const last = chain.at(-1);
  if (leaf === undefined || last === undefined) return [];
  if (chain.length === 1 && isSelfSigned(leaf)) {
    const remedy = "Name a certificate of a CA under tls.certificates, if clients or partners are to verify it.";
    return [warn("chain", `${nameOf(leaf)} is self-signed: whoever does not pin it cannot verify it.`, remedy)];
  }
  if (isComplete(last))
    return [good("chain", `The chain of ${nameOf(leaf)} is complete (${count(chain.length, "certificate")}).`)];
  const text = `The chain of ${nameOf(leaf)} ends at ${nameOf(last)}, and no root of this machine issued that one.`;
  return [warn("chain", text, "Append the intermediate certificates to the file; a private root needs nothing more.")];
}

function checkHostname(chains: readonly (readonly X509Certificate[])[], hostname: string): Finding[] {
  if (chains.length === 0) return [];
  const covered = chains.some(([leaf]) => leaf?.checkHost(hostname, { subject: "never" }) !== undefined);
  if (covered) return [good("names", `A certificate of ours names ${hostname}.`)];
  const text = `No certificate of ours names ${hostname}, which is how this gateway calls itself.`;
  return [warn("names", text, `Get one with the dNSName ${hostname}, or correct hostname.`)];
}

/** Nothing is missing behind the last one. */
export function isComplete(last: X509Certificate): boolean {
  return isSelfSigned(last) || isUnderKnownRoot(last);
}

/** Not by checkIssued: a certificate that may not sign others has still signed itself. */
export function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.issuer === certificate.subject && certificate.verify(certificate.publicKey);
}

function isUnderKnownRoot(certificate: X509Certificate): boolean {
  const texts = new Set([...getCACertificates("system"), ...getCACertificates("bundled")]);
  return [...texts].some((text) => {
    const root = new X509Certificate(text);
    return certificate.checkIssued(root) && certificate.verify(root.publicKey);
  });
}

/** Without a subject, its alternative names say whose it is (RFC 5280 §4.1.2.6). */
export function nameOf({ subject, subjectAltName }: X509Certificate): string {
  return printable(nameText(subject) || (subjectAltName ?? "without a name"));
}
