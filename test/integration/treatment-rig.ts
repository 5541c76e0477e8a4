/**
 * A whole gateway for `example.org` with a partner's server that keeps what it got, a DNS, keys and people; and how
 * others would read what left: DKIM by mailauth, CMS by the strict reader. Judges nothing.
 */
import type { KeyObject } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { dkimVerify } from "mailauth/lib/dkim/verify.js";
import { afterEach } from "vitest";
import { type Clock, systemClock } from "../../src/runtime/clock.ts";
import type { DkimKeySettings } from "../../src/mail/treatment.ts";
import { dkimRecord } from "../../src/transform/dkim/record.ts";
import { eventually } from "../contract/messages.ts";
import { createAuthority } from "../peers/certificates.ts";
import { type DnsPeer, startDnsServer } from "../peers/dns-server.ts";
import { createSite, type Line, type Site, type Tree } from "../peers/gateway.ts";
import { createMailAuthority, EMAIL_PROTECTION, type Held, type Person, USAGE } from "../peers/mail-authority.ts";
import { type MxMessage, type MxOptions, type MxServer, startMx } from "../peers/mx-server.ts";
import { SmtpClient } from "../peers/smtp-client.ts";
import { type ReadSignature, readEnvelope, readSignature } from "../unit/transform/smime-cms-reader.ts";
import { bodyText, fieldOf, signedOctets } from "../unit/transform/smime-mime-reader.ts";

const server = createAuthority("Partner CA").issue({ names: ["mx.acme.test"] });
export const goodMx: MxOptions = { hostname: "mx.acme.test", tls: { certificate: server.chain, key: server.key } };
/** Trusted by the gateways here. */
export const mailRoot = createMailAuthority("Mail Root");

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});
/** Closed after the test, the last one first. */
export const later = (close: () => Promise<unknown>): void => void open.push(close);

export interface Rig {
  readonly mx: MxServer;
  readonly dns: DnsPeer;
  readonly site: Site;
  /** Signs with these keys from the next start or reload on; publishes them. */
  readonly useKeys: (keys: readonly DkimKeySettings[], dates?: readonly Tree[]) => Promise<Tree>;
  /** Puts a key that signs into the folder of signers. */
  readonly useSigner: (name: string, held: Held) => Promise<void>;
  /** Puts a partner's certificate where those of recipients are. */
  readonly usePartner: (name: string, held: Held) => Promise<void>;
  /** Writes the configuration; `domain` is laid over the entry of example.org. */
  readonly configure: (settings?: Tree, domain?: Tree) => Promise<void>;
  /** Waits for so many messages at the partner's; answers with all. */
  readonly arrived: (count?: number) => Promise<readonly MxMessage[]>;
  /** What one recipient got. */
  readonly got: (recipient: string) => Promise<Buffer>;
}

/** Not started. Destinations: acme.test, other.test, and example.org's own server, which is the same one. */
export async function createRig(mxOptions: MxOptions = goodMx, clock: Clock = systemClock): Promise<Rig> {
  const mx = await startMx(mxOptions);
  later(mx.close);
  const dns = await startDnsServer(
    {
      "acme.test": { MX: ["10 mx.acme.test"] },
      "other.test": { MX: ["10 mx.acme.test"] },
      "mx.acme.test": { A: ["127.0.0.1"] },
    },
    { negativeTtl: 0 },
  );
  later(dns.close);
  const site = await createSite({}, clock);
  later(site.close);
  for (const folder of ["signers", "people"]) await mkdir(join(site.folder, folder), { mode: 0o700 });
  await site.write("mail-root.crt", mailRoot.pem);
  const configure = (settings: Tree = {}, domain: Tree = {}): Promise<void> =>
    site.configure({
      hostname: "relay.example.org",
      postmaster: "postmaster@example.org",
      dns: { resolvers: [`127.0.0.1:${dns.port}`], timeout: "1s" },
      delivery: { port: mx.port },
      domains: [{ domain: ["example.org"], next_hop: `[127.0.0.1]:${mx.port}`, ...domain }],
      ...settings,
      smime: {
        trust: ["../mail-root.crt"],
        partners: "../people",
        revocation: { check: false },
        ...(settings["smime"] as Tree | undefined),
      },
    });
  await configure();
  const arrived = async (count = 1): Promise<readonly MxMessage[]> => {
    await eventually(() => mx.messages.filter(({ complete }) => complete).length >= count);
    return mx.messages;
  };
  const got = async (recipient: string): Promise<Buffer> => {
    const isFor = ({ recipients, complete }: MxMessage): boolean => complete && recipients.join().includes(recipient);
    await eventually(() => mx.messages.some(isFor));
    return mx.messages.findLast(isFor)?.content ?? Buffer.of();
  };
  return {
    mx,
    dns,
    site,
    configure,
    arrived,
    got,
    useKeys: async (keys, dates = []) => {
      for (const key of keys) {
        await site.write(`${key.selector}.pem`, key.key);
        publish(dns, key);
      }
      return { dkim: keys.map(({ selector }, at) => ({ selector, key: `../${selector}.pem`, ...dates[at] })) };
    },
    useSigner: async (name, { pem, keyPem }) => void (await site.write(`signers/${name}.pem`, pem + keyPem)),
    usePartner: async (name, { pem }) => void (await site.write(`people/${name}.pem`, pem)),
  };
}

export const SIGNERS: Tree = { smime: { directory: "../signers" } };

export function publish(dns: DnsPeer, key: DkimKeySettings): void {
  const { name, value } = dkimRecord(key);
  dns.zones[name] = { TXT: [value.match(/.{1,255}/g) ?? []] };
}

/** One that signs and is encrypted to, with an EC key of its own. */
export function person(email: string, over: Person = {}): Held {
  return mailRoot.issue({
    commonName: email,
    emails: [email],
    usage: [USAGE.digitalSignature, USAGE.keyAgreement],
    purposes: [EMAIL_PROTECTION],
    ...over,
  });
}

export interface Submission {
  /** Empty: the null sender. */
  readonly from?: string;
  readonly to: string | readonly string[];
  /** Of MAIL. */
  readonly parameters?: string;
  /** Of whole lines. */
  readonly content: string | Buffer;
}

/** Hands one message in, octet for octet; answers with the last reply. */
export async function submit(site: Site, { from = "anna@example.org", to, parameters = "", content }: Submission) {
  const client = await SmtpClient.greeted({ port: site.gateway().listeners[0]?.port ?? 0 });
  try {
    const begin = [`MAIL FROM:<${from}>${parameters}`, ...[to].flat().map((one) => `RCPT TO:<${one}>`), "DATA"];
    for (const line of begin) {
      const { code, text } = await client.ask(line);
      if (code >= 400) return text;
    }
    await client.send(content);
    return (await client.ask(".")).text;
  } finally {
    client.close();
  }
}

export const letter = (fields: readonly string[] = [], body = "Hello Bert,\r\n\r\nAnna\r\n"): string =>
  [
    "From: Anna <anna@example.org>",
    "To: bert@acme.test",
    "Subject: Figures",
    "Date: Tue, 24 Nov 2026 10:11:12 +0100",
    "Message-ID: <1@example.org>",
    ...fields,
    "",
    body,
  ].join("\r\n");

/** `domain selector algorithm result` of each signature, topmost first, by mailauth. */
export async function dkimVerdicts(message: Buffer, dns: DnsPeer): Promise<readonly string[]> {
  const { results } = await dkimVerify(message, {
    strict: true,
    resolver: async (name: string) => (dns.zones[name]?.TXT ?? []).map((one) => [one].flat()),
  });
  return results
    .filter(({ signingDomain }) => signingDomain !== undefined)
    .map(({ signingDomain, selector, algo, status }) => `${signingDomain} ${selector} ${algo} ${status.result}`);
}

export const headerOf = (message: Buffer): string =>
  message.subarray(0, message.indexOf("\r\n\r\n") + 4).toString("latin1");
export const namesOf = (message: Buffer): readonly string[] =>
  [...headerOf(message).matchAll(/^([^\s:]+):/gm)].map(([, name = ""]) => name.toLowerCase());
export const count = (message: Buffer, name: string): number => namesOf(message).filter((one) => one === name).length;

/** Of a multipart/signed. */
export function readDetached(message: Buffer): ReadSignature {
  const octets = signedOctets(message);
  const text = message.toString("latin1");
  const [, signature = ""] = /filename="?smime\.p7s"?[^]*?\r\n\r\n([A-Za-z0-9+/=\r\n]+?)\r\n--/.exec(text) ?? [];
  return readSignature(Buffer.from(signature, "base64"), octets);
}

/** Of an application/pkcs7-mime. */
export const cmsOf = (message: Buffer): Buffer => Buffer.from(bodyText(message), "base64");

export function opened(message: Buffer, key: KeyObject): Buffer | undefined {
  const envelope = readEnvelope(cmsOf(message));
  for (const recipient of envelope.recipients) {
    try {
      return envelope.decrypt(recipient, key);
    } catch {} // another's
  }
  return undefined;
}
export const readersOf = (message: Buffer): number => readEnvelope(cmsOf(message)).recipients.length;
export const typeOf = (message: Buffer): string => fieldOf(message, "content-type") ?? "";

export const accepted = (site: Site, reply: string): Promise<Line> => {
  const [, id] = /^250 2\.0\.0 ([0-9a-f]{32}) queued$/.exec(reply) ?? [];
  if (id === undefined) throw new Error(`Not accepted: ${reply}`);
  return site.logged("message.accepted", (line) => line["queueId"] === id);
};
export const delivered = (site: Site, recipient: string): Promise<Line> =>
  site.logged("delivery", (line) => line["outcome"] === "delivered" && String(line["recipients"]).includes(recipient));
