/**
 * `sealpost tlsa FILE`: the TLSA records of a certificate of ours, ready to be pasted into a zone. Reads the file and
 * nothing else; needs no configuration.
 */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseDomainName } from "../mail/domain-name.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { painter, printable } from "./text.ts";
import { type CertificateFile, type OwnTlsa, readCertificateFile } from "./tlsa-records.ts";

export interface TlsaOptions {
  readonly file: string;
  /** As it was written. */
  readonly port: string;
  readonly name?: string;
}

export async function tlsa(deps: CliDeps, common: Common, options: TlsaOptions): Promise<ExitCode> {
  const { file, name, port } = options;
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535)
    return refuse(deps, EXIT.usage, [`--port ${JSON.stringify(port)} is no port. Write a number from 1 to 65535.`]);
  const host = name === undefined ? undefined : parseDomainName(name);
  if (name !== undefined && host === undefined)
    return refuse(deps, EXIT.usage, [`--name ${JSON.stringify(name)} is no host name. Write one, as mx.example.org.`]);
  const pem = await textOf(resolve(deps.cwd, file));
  if (pem === undefined) return refuse(deps, EXIT.usage, [`${file} cannot be read. Name a certificate file (PEM).`]);
  const read = readCertificateFile(pem);
  if ("message" in read) return refuse(deps, EXIT.usage, [`${file}: ${read.message}; ${read.remedy}.`]);
  const hosts = host === undefined ? read.hosts : [host];
  if (hosts.length === 0)
    return refuse(deps, EXIT.usage, [
      `${file} names no host that can be looked up. Give --name HOST, as the MX has it.`,
    ]);
  for (const one of hosts)
    for (const record of read.records) show(deps, common, `_${Number(port)}._tcp.${one}.`, record);
  if (!common.json) advise(deps, read, hosts);
  return EXIT.good;
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch {
    return undefined; // the caller says which file it was
  }
}

/** A line of a zone file (RFC 1035 §5.1); what follows the semicolon is a comment there. */
function show(deps: CliDeps, common: Common, owner: string, record: OwnTlsa): void {
  const { usage, selector, matchingType, data, subject } = record;
  const notAfter = new Date(record.notAfter).toISOString();
  if (common.json) return printJson(deps, { owner, usage, selector, matchingType, data, subject, notAfter });
  const whose = usage === 3 ? "own key" : "authority";
  const comment = painter(deps.stdout, deps.env)(
    "dim",
    `; ${whose} ${printable(subject)} until ${notAfter.slice(0, 10)}`,
  );
  deps.stdout.write(`${owner} IN TLSA ${usage} ${selector} ${matchingType} ${data} ${comment}\n`);
}

function advise(deps: CliDeps, { records, leaf }: CertificateFile, hosts: readonly string[]): void {
  const uncovered = hosts.filter((host) => leaf.checkHost(host, { subject: "never" }) === undefined);
  const lines = [
    "Publish them in a zone that is signed with DNSSEC; elsewhere nobody counts them.",
    "At a new key: publish its records beside these, wait twice their TTL, then change the certificate (RFC 7671 §8.1).",
    ...(records.length === 1 ? ["The file holds no authority, so there is no 2 1 1 record."] : []),
    ...(records.length > 1 && uncovered.length > 0
      ? [`The certificate does not name ${uncovered.join(", ")}: 2 1 1 will not match there, 3 1 1 will.`]
      : []),
  ];
  const paint = painter(deps.stderr, deps.env);
  for (const line of lines) deps.stderr.write(`${paint("dim", line)}\n`);
}
