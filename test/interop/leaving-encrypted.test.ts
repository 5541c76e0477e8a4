/**
 * What the gateway encrypts, read by those it is for: OpenSSL, NSS and BouncyCastle with the recipients' keys. What a
 * recipient's certificate announces decides on the algorithms; one certificate comes from a real directory.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MxServer } from "../peers/mx-server.ts";
import { SmtpClient } from "../peers/smtp-client.ts";
import { type CmsPeers, cmsPeers, sha256 } from "./rig/cms-peers.ts";
import { type Gateway, overlay } from "./rig/gateway.ts";
import { between, createHouse, partner, person, root, split, startCollector } from "./rig/leaving.ts";
import { compare, envelopeOf, signedParts, verifyAll } from "./rig/leaving-readers.ts";
import { eventually, must } from "./rig/processes.ts";
import { addPeople, startSlapd } from "./rig/slapd.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterAll(bench.clear);

const DOMAIN = "partner.test";
const PEOPLE = {
  /** Says nothing of what she can read. */
  rosa: person({ email: `rosa@${DOMAIN}`, keyType: "rsa" }),
  /** Announces GCM and OAEP. */
  rolf: person({ email: `rolf@${DOMAIN}`, keyType: "rsa", announces: true }),
  eva: person({ email: `eva@${DOMAIN}`, keyType: "ec" }),
  emil: person({ email: `emil@${DOMAIN}`, keyType: "ec", announces: true }),
  /** In the directory only. */
  lena: person({ email: `lena@${DOMAIN}`, keyType: "rsa" }),
  tina: person({ email: "tina@triple.test", keyType: "rsa" }),
  anna: person({ email: ["anna@own.test", "anna@example.org"], keyType: "ec", announces: true }),
};
const TEXT = `Grüße aus dem Rathaus, Zimmer 7\r\n${"Aktenzeichen 4711 \r\n".repeat(5_000)}`;
let peers: CmsPeers;
let collector: MxServer;
let gateway: Gateway;

const letter = (to: readonly string[]): Buffer =>
  Buffer.from(
    [
      "From: Anna <anna@own.test>",
      `To: ${to.join(", ")}`,
      "Subject: vertraulich",
      "Message-ID: <1@own.test>",
      "Date: Mon, 01 Jun 2026 10:00:00 +0200",
      "MIME-Version: 1.0",
      "Content-Type: text/plain; charset=utf-8",
      "Content-Transfer-Encoding: 8bit",
      "",
      TEXT,
    ].join("\r\n"),
  );

async function send(to: readonly string[]): Promise<void> {
  const client = await SmtpClient.greeted({ port: gateway.port() });
  await client.ask("MAIL FROM:<anna@own.test> BODY=8BITMIME", 250);
  for (const one of to) await client.ask(`RCPT TO:<${one}>`, 250);
  await client.ask("DATA", 354);
  await client.send(Buffer.concat([letter(to), Buffer.from(".\r\n")]));
  await client.expect(250);
  client.close();
}

beforeAll(async () => {
  const { anna, lena, ...placed } = PEOPLE;
  const house = await createHouse(bench, { signer: anna, partners: placed });
  const { site, authority } = house;
  const slapd = await startSlapd(bench, { ...(await authority.issue(["localhost"])), ca: authority.certificate });
  const folder = await bench.folder("directory");
  await writeFile(join(folder, "password"), slapd.reader.password, { mode: 0o600 });
  const bundle = join(folder, "lena.pem");
  await writeFile(bundle, lena.pem + between.pem);
  await must("openssl", ["crl2pkcs7", "-nocrl", "-certfile", bundle, "-outform", "DER", "-out", `${bundle}.p7`]);
  const values = { userSMIMECertificate: [await readFile(`${bundle}.p7`)] };
  await addPeople(slapd, [{ name: "Lena", mail: [`lena@${DOMAIN}`], values }]);
  await site.configure(
    overlay(house.settings, {
      smime: {
        ldap: {
          url: slapd.ldaps,
          base: slapd.base,
          bind_dn: slapd.reader.dn,
          password_file: join(folder, "password"),
          ca: authority.certificate,
        },
      },
    }),
  );
  peers = await cmsPeers(bench, root, PEOPLE);
  collector = await startCollector(bench, house, "127.0.0.21");
  const smime = { sign: "always", encrypt: "always" };
  await site.partner("partner", partner(DOMAIN, collector, { smime }));
  await site.partner("triple", partner("triple.test", collector, { smime: { ...smime, triple_wrap: true } }));
  gateway = await site.start();
  for (const name of Object.keys(PEOPLE)) if (name !== "anna") await send([addressOf(name)]);
  await send(TOGETHER.map(addressOf));
});

const addressOf = (name: string): string => `${name}@${name === "tina" ? "triple.test" : DOMAIN}`;
/** In one message: RSA and EC keys apart, and none of the RSA ones is given what the other cannot read. */
const TOGETHER = ["rosa", "rolf", "emil"];

/** The message to these alone, as each of them gets it. */
async function delivered(name: string, to: readonly string[] = [name]): Promise<Buffer> {
  const field = `\r\nTo: ${to.map(addressOf).join(", ")}\r\n`;
  const message = await eventually(
    `the message to ${to.join(" and ")}, for ${name}`,
    () =>
      collector.messages.find(
        ({ recipients, content }) => recipients.join().includes(`<${addressOf(name)}>`) && content.includes(field),
      ),
    { seen: () => gateway.stderr() + JSON.stringify(gateway.log.slice(-5)) },
  );
  return message.content;
}

const original = (): Buffer => letter([]);

/** Content encryption and key management, as OpenSSL prints them. */
async function algorithmsOf(cms: Buffer): Promise<string> {
  const printed = await must("openssl", ["cms", "-cmsout", "-print", "-noout", "-inform", "der"], { input: cms });
  const content = /contentEncryptionAlgorithm:\s+algorithm: ([\w-]+)/.exec(printed)?.[1];
  const key = /keyEncryptionAlgorithm:\s+algorithm: ([\w-]+)/.exec(printed)?.[1];
  return `${content} ${key}`;
}

/** Opened by OpenSSL with this one's key: the signed entity in it. */
async function opened(message: Buffer, name: string): Promise<Buffer> {
  const inner = await peers.openssl.decryptMessage(message, name);
  if (!Buffer.isBuffer(inner)) throw new Error(inner);
  return inner;
}

describe("a message that is signed and encrypted", () => {
  const CBC = "enveloped-data";
  const GCM = "authEnveloped-data";
  const AGREED = "dhSinglePass-stdDH-sha256kdf-scheme";
  const NOT_NSS = { openssl: true, nss: false, bouncyCastle: true };
  const ALL = { ...NOT_NSS, nss: true };
  const rows = [
    ["a certificate that announces nothing", "rosa", CBC, "aes-256-cbc rsaEncryption", ALL],
    ["one that announces GCM and OAEP", "rolf", GCM, "aes-256-gcm rsaesOaep", NOT_NSS],
    ["an EC key", "eva", CBC, `aes-256-cbc ${AGREED}`, NOT_NSS],
    ["an EC key that announces GCM", "emil", GCM, `aes-256-gcm ${AGREED}`, NOT_NSS],
    ["a certificate from the directory", "lena", CBC, "aes-256-cbc rsaEncryption", ALL],
  ] as const;

  it.each(rows)("for %s is opened by OpenSSL, and the signature in it holds", async (_, name, type, algorithms) => {
    const message = await delivered(name);
    expect(split(message).header.toString("latin1")).toMatch(new RegExp(`smime-type="?${type}`));
    expect(message.includes("Rathaus") || message.includes("Aktenzeichen")).toBe(false);
    expect(await algorithmsOf(envelopeOf(message))).toBe(algorithms);
    const inner = await opened(message, name);
    const [verified] = await verifyAll(bench, root.pem, [inner]);
    expect(verified?.told).toContain("Verification successful");
    expect(await compare([[original(), verified?.content ?? inner]])).toEqual(["same"]);
  });

  it("is read by OpenSSL, NSS and BouncyCastle as in the table", async () => {
    const all = await Promise.all(
      rows.map(async ([, name]) => {
        const message = await delivered(name);
        return { cms: envelopeOf(message), name, inner: sha256(await opened(message, name)) };
      }),
    );
    const byPeer = { openssl: [] as boolean[], nss: [] as boolean[], bouncyCastle: [] as boolean[] };
    for (const peer of ["openssl", "nss", "bouncyCastle"] as const)
      byPeer[peer] = (await peers[peer].decrypt(all)).map((reading, at) => reading.sha256 === all[at]?.inner);
    const column = (peer: keyof typeof byPeer) => rows.map(([title], at) => [title, byPeer[peer][at]]);
    for (const peer of ["openssl", "nss", "bouncyCastle"] as const)
      expect(column(peer), peer).toEqual(rows.map(([title, , , , readers]) => [title, readers[peer]]));
  });

  it("is read by its author where the recipient's key is of his kind, and by nobody else", async () => {
    const message = await delivered("emil");
    expect(Buffer.isBuffer(await peers.openssl.decryptMessage(message, "anna"))).toBe(true);
    expect(Buffer.isBuffer(await peers.openssl.decryptMessage(message, "eva"))).toBe(false);
  });

  it("to several is one for each kind of key, which all of them read", async () => {
    const copies = await Promise.all(TOGETHER.map((name) => delivered(name, TOGETHER)));
    const types = copies.map((one) => /smime-type="?([\w-]+)/.exec(split(one).header.toString("latin1"))?.[1]);
    expect(types).toEqual([CBC, CBC, GCM]);
    expect(copies[1]?.equals(copies[0] ?? Buffer.alloc(0))).toBe(true);
    for (const [index, name] of TOGETHER.entries())
      expect((await opened(copies[index] ?? Buffer.alloc(0), name)).includes("multipart/signed")).toBe(true);
    const [rsa = Buffer.alloc(0), , ec = Buffer.alloc(0)] = copies;
    expect((await peers.nss.decrypt([{ cms: envelopeOf(rsa), name: "rosa" }]))[0]?.sha256).toBeDefined();
    expect(Buffer.isBuffer(await peers.openssl.decryptMessage(ec, "rosa"))).toBe(false);
  });
});

describe("a message that is wrapped three times", () => {
  it("is verified, opened and verified again, step by step", async () => {
    const message = await delivered("tina");
    const [outer] = await verifyAll(bench, root.pem, [message]);
    expect(outer?.told).toContain("Verification successful");
    expect(split(outer?.content ?? message).header.toString()).toContain("enveloped-data");
    expect((await peers.nss.verify([signedParts(message)]))[0]?.sha256).toBe(sha256(signedParts(message).content));

    const inner = await opened(outer?.content ?? message, "tina");
    const [verified] = await verifyAll(bench, root.pem, [inner]);
    expect(verified?.told).toContain("Verification successful");
    expect(await compare([[original(), verified?.content ?? inner]])).toEqual(["same"]);
  });
});
