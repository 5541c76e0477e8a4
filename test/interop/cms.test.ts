/**
 * What others read of what we sign and encrypt: OpenSSL 3.0, NSS 3.87 (`cmsutil`, the code of Thunderbird) and BouncyCastle
 * 1.72. The tables are the record: a "no" is asserted like a "yes", so that it is noticed when it changes.
 */
import { createHash, randomBytes, X509Certificate } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { element, TAG } from "../../src/mail/der.ts";
import { cms as ourCms } from "../../src/transform/smime/cms.ts";
import { envelope, type EnvelopeRecipient } from "../../src/transform/smime/enveloped-data.ts";
import { readSigner } from "../../src/transform/smime/keys.ts";
import { signDetached, signOpaque, type Signer, toSigner } from "../../src/transform/smime/signed-data.ts";
import { wrap, type WrapPlan } from "../../src/transform/smime/wrap.ts";
import { createMailAuthority, EMAIL_PROTECTION, type Held, type Person, USAGE } from "../peers/mail-authority.ts";
import { candidateOf, ecKey } from "../unit/transform/smime-cms-people.ts";
import { chunked, collect } from "../unit/transform/smime-mime-chunks.ts";
import { type CmsPeers, cmsPeers, type Peer, type Reading, type SignedObject, sha256 } from "./rig/cms-peers.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
const identifier = (octet: number) => ({ id: "2.5.29.14", value: element(TAG.octetString, Buffer.alloc(20, octet)) });
const root = createMailAuthority("Interop Root", { more: [identifier(1)] });
const between = root.below("Interop Mail CA", { more: [identifier(2)] });
const person = (name: string, octet: number, over: Person): Held =>
  between.issue({
    commonName: name,
    emails: [`${name}@acme.test`],
    usage: [USAGE.digitalSignature, USAGE.keyEncipherment, USAGE.keyAgreement],
    purposes: [EMAIL_PROTECTION],
    more: [identifier(octet)],
    ...over,
  });
const PEOPLE = {
  rosa: person("rosa", 3, { keyType: "rsa" }),
  eva: person("eva", 4, {}),
  p384: person("p384", 5, { key: ecKey("secp384r1") }),
  p521: person("p521", 6, { key: ecKey("secp521r1") }),
  brainpool: person("brainpool", 7, { key: ecKey("brainpoolP256r1") }),
};
type Name = keyof typeof PEOPLE;
const signerOf = ({ pem, keyPem }: Held): Signer => toSigner({ certificate: pem, chain: [between.pem], key: keyPem });
const to = (name: Name, over: Partial<EnvelopeRecipient> = {}): EnvelopeRecipient => ({
  certificate: candidateOf(PEOPLE[name]),
  ...over,
});

/** Larger than a segment, with a last one that is not full. */
const CONTENT = Buffer.from(`Content-Type: text/plain\r\n\r\n${"Stadtverwaltung, Zimmer 7\r\n".repeat(1_500)}`);
let peers: CmsPeers;
beforeAll(async () => {
  peers = await cmsPeers(bench, root, PEOPLE);
});
afterAll(() => bench.clear());

const PEERS = ["openssl", "nss", "bouncyCastle"] as const;
type PeerName = (typeof PEERS)[number];
type Verdicts = Readonly<Record<PeerName, boolean>>;
const ALL: Verdicts = { openssl: true, nss: true, bouncyCastle: true };
const NOT_NSS: Verdicts = { ...ALL, nss: false };
const NONE: Verdicts = { openssl: false, nss: false, bouncyCastle: false };

/** For each object what each peer says; a peer is asked about all of them at once. */
async function verdicts<T>(objects: readonly T[], read: (peer: Peer, objects: readonly T[]) => Promise<Reading[]>) {
  const answers = new Map<PeerName, Reading[]>();
  for (const name of PEERS) answers.set(name, await read(peers[name], objects));
  return objects.map((_, at) =>
    Object.fromEntries(PEERS.map((name) => [name, answers.get(name)?.[at]?.sha256 === sha256(CONTENT)])),
  );
}

describe("signatures verify with the chain to the root", () => {
  const rows: readonly (readonly [string, Name, "detached" | "opaque", Verdicts])[] = [
    ["RSA-2048, detached", "rosa", "detached", ALL],
    ["RSA-2048, opaque", "rosa", "opaque", ALL],
    ["ECDSA P-256, detached", "eva", "detached", ALL],
    ["ECDSA P-256, opaque", "eva", "opaque", ALL],
    ["ECDSA P-384, detached", "p384", "detached", ALL],
    ["ECDSA P-384, opaque", "p384", "opaque", ALL],
    ["ECDSA P-521, detached", "p521", "detached", ALL],
    ["ECDSA brainpoolP256r1, detached", "brainpool", "detached", NOT_NSS],
  ];

  async function signed(name: Name, form: "detached" | "opaque"): Promise<SignedObject> {
    const signer = signerOf(PEOPLE[name]);
    const now = Date.now();
    if (form === "opaque") return { cms: await collect(signOpaque(chunked(CONTENT, 999)(), signer, { now })) };
    const digest = createHash(signer.hash).update(CONTENT).digest();
    return { cms: await signDetached(digest, signer, { now }), content: CONTENT };
  }

  it("as in the table", async () => {
    const objects = await Promise.all(rows.map(([, name, form]) => signed(name, form)));
    const found = await verdicts(objects, (peer, all) => peer.verify(all));
    const table = (of: readonly unknown[]) => rows.map(([title], at) => [title, of[at]]);
    expect(table(found)).toEqual(table(rows.map(([, , , expected]) => expected)));
  });

  it("and no more when an octet is another, or nobody knows the root", async () => {
    const detached = await signed("rosa", "detached");
    const opaque = await signed("eva", "opaque");
    const changed = Buffer.from(opaque.cms);
    changed[200] = (changed[200] ?? 0) ^ 1;
    const stranger = createMailAuthority("Stranger").issue({ commonName: "Eva", purposes: [EMAIL_PROTECTION] });
    const digest = createHash("sha256").update(CONTENT).digest();
    const unknown = await signDetached(digest, { ...signerOf(stranger) }, { now: Date.now() });
    const objects = [
      { ...detached, content: Buffer.concat([CONTENT, Buffer.from("x")]) },
      { cms: changed },
      { cms: unknown, content: CONTENT },
    ];
    for (const name of PEERS) {
      const readings = await peers[name].verify(objects);
      expect([name, ...readings.map((one) => one.sha256)]).toEqual([name, undefined, undefined, undefined]);
    }
  });
});

describe("what is encrypted is read", () => {
  const announced = { capabilities: { gcm: true, oaep: true } };
  const gcm = { capabilities: { gcm: true, oaep: false } };
  const oaep = { capabilities: { gcm: false, oaep: true } };
  const identified = { namedBy: "key-identifier" } as const;
  const rows: readonly (readonly [string, readonly EnvelopeRecipient[], Name, Verdicts])[] = [
    ["CBC, RSA PKCS#1 v1.5", [to("rosa")], "rosa", ALL],
    ["CBC, RSA PKCS#1 v1.5, key identifier", [to("rosa", identified)], "rosa", ALL],
    ["CBC, RSA-OAEP", [to("rosa", oaep)], "rosa", NOT_NSS],
    ["GCM, RSA PKCS#1 v1.5", [to("rosa", gcm)], "rosa", NOT_NSS],
    ["GCM, RSA-OAEP", [to("rosa", announced)], "rosa", NOT_NSS],
    ["CBC, ECDH P-256", [to("eva")], "eva", NOT_NSS],
    ["CBC, ECDH P-256, key identifier", [to("eva", identified)], "eva", NOT_NSS],
    ["CBC, ECDH P-384", [to("p384")], "p384", NOT_NSS],
    ["CBC, ECDH P-521", [to("p521")], "p521", NOT_NSS],
    ["CBC, ECDH brainpoolP256r1", [to("brainpool")], "brainpool", NOT_NSS],
    ["GCM, ECDH P-256", [to("eva", announced)], "eva", NOT_NSS],
    ["GCM, ECDH P-384, key identifier", [to("p384", { ...announced, ...identified })], "p384", NOT_NSS],
    // NSS 3.87 gives up at the EC recipient, also for the RSA one, and does so with OpenSSL's messages, too.
    ["CBC, RSA and EC, by RSA", [to("rosa"), to("eva", announced)], "rosa", NOT_NSS],
    ["CBC, RSA and EC, by EC", [to("rosa"), to("eva", announced)], "eva", NOT_NSS],
    ["GCM, OAEP and ECDH, by RSA", [to("rosa", announced), to("p521", announced)], "rosa", NOT_NSS],
    ["GCM, OAEP and ECDH, by EC", [to("rosa", announced), to("p521", announced)], "p521", NOT_NSS],
  ];
  const seal = (recipients: readonly EnvelopeRecipient[]): Promise<Buffer> =>
    collect(envelope(chunked(CONTENT, 999)(), recipients, randomBytes));

  it("as in the table", async () => {
    const objects = await Promise.all(
      rows.map(async ([, recipients, name]) => ({ cms: await seal(recipients), name })),
    );
    const found = await verdicts(objects, (peer, all) => peer.decrypt(all));
    const table = (of: readonly unknown[]) => rows.map(([title], at) => [title, of[at]]);
    expect(table(found)).toEqual(table(rows.map(([, , , expected]) => expected)));
  });

  it("by nobody whom it is not for, and with GCM not when an octet is another", async () => {
    const changed = await seal([to("eva", announced)]);
    changed[changed.length - 100] = (changed.at(-100) ?? 0) ^ 1;
    const objects = [await seal([to("p384")]), changed].map((cms) => ({ cms, name: "eva" }));
    const found = await verdicts(objects, (peer, all) => peer.decrypt(all));
    expect(found).toEqual([NONE, NONE]);
  });

  it("when it is empty", async () => {
    const empty = await collect(envelope(chunked(Buffer.alloc(0), 1)(), [to("rosa", announced)], randomBytes));
    for (const name of ["openssl", "bouncyCastle"] as const)
      expect((await peers[name].decrypt([{ cms: empty, name: "rosa" }]))[0]?.sha256).toBe(sha256(Buffer.alloc(0)));
  });
});

describe("a message as it is sent", () => {
  const header = Buffer.from(
    "From: eva@acme.test\r\nTo: rosa@acme.test\r\nContent-Type: text/plain\r\nMIME-Version: 1.0\r\n\r\n",
  );
  const body = Buffer.from("Guten Tag\r\n".repeat(3_000));
  const sign = { signer: signerOf(PEOPLE.eva), format: "detached" } as const;

  async function message(plan: WrapPlan<Signer, EnvelopeRecipient>): Promise<Buffer> {
    const deps = { cms: ourCms, now: Date.now(), random: randomBytes };
    const wrapped = await wrap({ header, body: chunked(body, 5_000) }, plan, deps);
    if ("problem" in wrapped) throw new Error(wrapped.problem);
    return Buffer.concat([wrapped.header, await collect(wrapped.body)]);
  }

  it.each(["detached", "opaque"] as const)("signed (%s) verifies with OpenSSL", async (format) => {
    const reading = await peers.openssl.verifyMessage(await message({ sign: { ...sign, format }, tripleWrap: false }));
    expect(reading.told).toContain("successful");
    expect(reading.sha256).toBeDefined();
  });

  it.each([
    ["CBC", {}],
    ["GCM", { capabilities: { gcm: true, oaep: true } }],
  ])("signed and encrypted with %s is opened and verifies, three times wrapped, too", async (_, over) => {
    const twice = await message({ sign, encryptTo: [to("rosa", over)], tripleWrap: false });
    const inner = await peers.openssl.decryptMessage(twice, "rosa");
    expect(inner).toBeInstanceOf(Buffer);
    expect((await peers.openssl.verifyMessage(inner as Buffer)).told).toContain("successful");
    const thrice = await message({ sign, encryptTo: [to("rosa", over)], tripleWrap: true });
    expect((await peers.openssl.verifyMessage(thrice)).told).toContain("successful");
  });
});

describe("signers' files of others are read:", () => {
  it.each([
    ["OpenSSL's default", [], "rosa"],
    ["OpenSSL -legacy", ["-legacy"], "rosa"],
    ["OpenSSL -legacy with EC", ["-legacy"], "eva"],
    ["OpenSSL with a MAC by SHA-512", ["-macalg", "sha512"], "p384"],
    ["OpenSSL without encryption", ["-keypbe", "NONE", "-certpbe", "NONE"], "eva"],
  ] as const)("%s", async (_, options, name) => {
    const read = readSigner(await peers.pkcs12(name, options), "x");
    expect(read).toMatchObject({ certificate: PEOPLE[name].pem, key: PEOPLE[name].keyPem });
  });

  it.each(["rosa", "eva"] as const)("NSS, of %s, with lengths left open and 600,000 rounds", async (name) => {
    const read = readSigner(await peers.pkcs12OfNss(name), "x");
    expect(read).toMatchObject({ certificate: PEOPLE[name].pem, key: PEOPLE[name].keyPem });
  });

  it.each([
    ["RSA", ["-keyalg", "RSA", "-keysize", "2048"]],
    ["EC", ["-keyalg", "EC", "-groupname", "secp256r1"]],
  ])("Java's keytool, %s", async (_, algorithm) => {
    const read = readSigner(await peers.pkcs12OfJava(algorithm), "xxxxxx");
    if ("problem" in read) throw new Error(read.problem);
    expect(new X509Certificate(read.certificate).subject).toBe("CN=Anna");
  });
});
