/**
 * A house whose mail leaves stripped, signed and encrypted: a gateway's site with DKIM keys, a signer of S/MIME and the
 * certificates of those who are written to, as files; and the peers that know the same people.
 */
import { generateKeyPairSync } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { element } from "../../../src/mail/der.ts";
import type { DkimKeySettings } from "../../../src/mail/treatment.ts";
import { createMailAuthority, EMAIL_PROTECTION, type Held, oid, seq, USAGE } from "../../peers/mail-authority.ts";
import { type MxOptions, type MxServer, startMx } from "../../peers/mx-server.ts";
import { newKey } from "../../unit/transform/dkim-keys.ts";
import { type Authority, createAuthority } from "./certificates.ts";
import { createSite, overlay, type Site, type Tree } from "./gateway.ts";
import type { Workbench } from "./workbench.ts";

/** Of our own side. */
export const OWN_DOMAINS = ["own.test", "example.org"] as const;

export interface House {
  readonly site: Site;
  /** As `site.configure` was given them. */
  readonly settings: Tree;
  /** One for each of our domains and algorithm. */
  readonly dkim: readonly DkimKeySettings[];
  /** Root of everybody's S/MIME certificates. */
  readonly root: Held;
  /** Of TLS. */
  readonly authority: Authority;
  /** PEM of the same. */
  readonly ca: string;
}

const SHA256 = seq(oid("2.16.840.1.101.3.4.2.1"));
const MASK = seq(oid("1.2.840.113549.1.1.8"), SHA256);
/** RSAES-OAEP with SHA-256 in both places (RFC 4055 §4.1). */
const OAEP = seq(oid("1.2.840.113549.1.1.7"), seq(element(0xa0, SHA256), element(0xa1, MASK)));
const AES256_GCM = seq(oid("2.16.840.1.101.3.4.1.46"));
/** SMIMECapabilities as a certificate announces them (RFC 4262). */
const ANNOUNCES = { id: "1.2.840.113549.1.9.15", value: seq(AES256_GCM, OAEP) };

export const root = createMailAuthority("Leaving Root");
export const between = root.below("Leaving Mail CA");

export interface PersonWish {
  readonly email: string | readonly string[];
  readonly keyType: "rsa" | "ec";
  readonly announces?: boolean;
}

/** Key transport with RSA, key agreement with EC; each has a key of its own. */
export function person({ email, keyType, announces = false }: PersonWish): Held {
  const pair =
    keyType === "rsa"
      ? generateKeyPairSync("rsa", { modulusLength: 2048 })
      : generateKeyPairSync("ec", { namedCurve: "P-256" });
  const emails = [email].flat();
  return between.issue({
    commonName: emails[0]?.split("@")[0] ?? "",
    emails,
    key: pair.privateKey,
    usage: [USAGE.digitalSignature, keyType === "rsa" ? USAGE.keyEncipherment : USAGE.keyAgreement],
    purposes: [EMAIL_PROTECTION],
    more: announces ? [ANNOUNCES] : [],
  });
}

export interface HouseWish {
  /** Laid over what every house has. */
  readonly settings?: Tree;
  /** Signs for its addresses. */
  readonly signer?: Held;
  /** Signs for everybody else. */
  readonly gateway?: Held;
  /** Certificates placed by hand, by any name. */
  readonly partners?: Readonly<Record<string, Held>>;
}

export async function createHouse(bench: Workbench, wish: HouseWish = {}): Promise<House> {
  const authority = await createAuthority(await bench.folder("ca"));
  const own = await authority.issue(["relay.own.test"], { key: "rsa" });
  const folder = await bench.folder("keys");
  const put = async (name: string, content: string): Promise<string> => {
    await writeFile(join(folder, name), content, { mode: 0o600 });
    return join(folder, name);
  };
  for (const part of ["smime", "partners"]) await mkdir(join(folder, part), { mode: 0o700 });
  const { signer, gateway } = wish;
  const keyFile = ({ keyPem, pem }: Held): string => keyPem + pem + between.pem;
  for (const domain of OWN_DOMAINS)
    if (signer !== undefined) await put(join("smime", `anna@${domain}.pem`), keyFile(signer));
  if (gateway !== undefined) await put(join("smime", "_gateway.pem"), keyFile(gateway));
  for (const [name, held] of Object.entries(wish.partners ?? {}))
    await put(join("partners", `${name}.pem`), held.pem + between.pem);
  const keys = [newKey("rsa-sha256", OWN_DOMAINS[0], "rsa"), newKey("ed25519-sha256", OWN_DOMAINS[0], "ed")];
  const dkim = await Promise.all(
    keys.map(async ({ selector, key }) => ({ selector, key: await put(`${selector}.pem`, key) })),
  );
  const smime = (signer ?? gateway) === undefined ? {} : { smime: { directory: join(folder, "smime") } };
  const base = {
    tls: { certificates: [own] },
    domains: [{ domain: OWN_DOMAINS, dkim, ...smime }],
    smime: { partners: join(folder, "partners"), trust: [await put("root.pem", root.pem)] },
  };
  const settings = overlay(base, wish.settings ?? {});
  return {
    site: await createSite(bench, settings),
    settings,
    dkim: OWN_DOMAINS.flatMap((domain) => keys.map((key) => ({ ...key, domain }))),
    root,
    authority,
    ca: await readFile(authority.certificate, "utf8"),
  };
}

/** An MX that keeps what it gets, over TLS. */
export async function startCollector(
  bench: Workbench,
  { authority }: House,
  address: string,
  answer: NonNullable<MxOptions["answer"]> = () => undefined,
): Promise<MxServer> {
  const credential = await authority.issue(["mx.partner.test"]);
  const [certificate, key] = await Promise.all(
    [credential.certificate, credential.key].map((file) => readFile(file, "utf8")),
  );
  const mx = await startMx({ tls: { certificate: certificate ?? "", key: key ?? "" }, answer }, address);
  bench.atEnd(mx.close);
  return mx;
}

/** A partner file for one domain. */
export function partner(domain: string, nextHop: { address: string; port: number }, outbound: Tree = {}): Tree {
  const hop = { next_hop: `[${nextHop.address}]:${nextHop.port}`, ...outbound };
  return { name: domain, domains: [domain], outbound: hop };
}

/** What arrived for a recipient. */
export function arrivedFor(mx: MxServer, address: string): Buffer | undefined {
  return mx.messages.find(({ recipients, complete }) => complete && recipients.join().includes(`<${address}>`))
    ?.content;
}

/** Header with its empty line, and body. */
export function split(message: Buffer): { readonly header: Buffer; readonly body: Buffer } {
  const end = message.indexOf("\r\n\r\n") + 4;
  return { header: message.subarray(0, end), body: message.subarray(end) };
}
