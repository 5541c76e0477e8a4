/** S/MIME on its way out of a whole gateway: who gets what, and what is refused rather than sent otherwise. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import type { Site, Tree } from "../peers/gateway.ts";
import { selfSignedPerson } from "../peers/mail-authority.ts";
import { readSignature } from "../unit/transform/smime-cms-reader.ts";
import { newKey } from "../unit/transform/dkim-keys.ts";
import { bodyText, fieldOf, leavesOf } from "../unit/transform/smime-mime-reader.ts";
import {
  cmsOf,
  count,
  createRig,
  delivered,
  dkimVerdicts,
  goodMx,
  headerOf,
  letter,
  namesOf,
  opened,
  person,
  readDetached,
  readersOf,
  type Rig,
  SIGNERS,
  submit,
  typeOf,
} from "./treatment-rig.ts";

const anna = person("anna@example.org");
const bert = person("bert@acme.test");
const bea = person("bea@acme.test");
const TEXT = "Hello Bert,\r\n\r\nAnna\r\n";

/** With Anna's key, and certificates of bert and bea. */
async function rigWith(smime: Tree, settings: Tree = {}, mx = goodMx): Promise<Rig> {
  const rig = await createRig(mx);
  await rig.useSigner("anna@example.org", anna);
  await rig.usePartner("bert", bert);
  await rig.usePartner("bea", bea);
  await rig.configure({ outbound: { smime }, ...settings }, SIGNERS);
  await rig.site.start();
  return rig;
}

async function stored({ folder }: Site): Promise<{ files: number; rows: number }> {
  const database = new DatabaseSync(join(folder, "data/queue.db"), { timeout: 5_000 });
  try {
    const rows = database.prepare("SELECT (SELECT count(*) FROM message) + (SELECT count(*) FROM delivery) AS n").get();
    const files = await readdir(join(folder, "data/bodies")).catch(() => []);
    return { files: files.length, rows: Number(rows?.["n"]) };
  } finally {
    database.close();
  }
}
const NOTHING = { files: 0, rows: 0 };

describe("signing", () => {
  it.each(["if-possible", "always"])(
    "%s: the recipient can check who wrote it, and the text is the same",
    async (sign) => {
      const { site, got } = await rigWith({ sign });
      await submit(site, { to: "bert@acme.test", content: letter() });
      const message = await got("bert@");
      const signature = readDetached(message);
      expect([signature.verified, signature.signer.raw.equals(anna.der)]).toEqual([true, true]);
      expect(leavesOf(message)[0]?.content.toString()).toBe(TEXT);
      expect(fieldOf(message, "subject")).toBe("Figures");
      expect(await delivered(site, "bert@")).toMatchObject({ smime: { signed: true, encrypted: false } });
    },
  );

  it("opaque: one CMS object holds the text", async () => {
    const { site, got } = await rigWith({ sign: "always", format: "opaque" });
    await submit(site, { to: "bert@acme.test", content: letter() });
    const signature = readSignature(cmsOf(await got("bert@")));
    expect(signature.verified).toBe(true);
    expect(signature.content?.toString()).toContain(TEXT);
  });

  it("makes 8-bit mail 7-bit, so that a host without 8BITMIME gets it, and announces the size of what is sent", async () => {
    const extensions = ["SIZE 1000000", "PIPELINING"];
    const { site, got, mx } = await rigWith({ sign: "always" }, {}, { ...goodMx, extensions });
    const fields = ["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"];
    const text = "Grüße aus Köln\r\n";
    await submit(site, { to: "bert@acme.test", content: letter(fields, text), parameters: " BODY=8BITMIME" });
    const message = await got("bert@");
    expect(leavesOf(message)[0]?.content.toString()).toBe(text);
    expect(readDetached(message).verified).toBe(true);
    expect(bodyText(message)).not.toMatch(/[\x80-\xff]/);
    expect(mx.messages[0]?.mail).toMatch(new RegExp(` SIZE=${message.length}\\b`));
    expect(mx.messages[0]?.mail).not.toContain("8BITMIME");
  });

  it("fails for those alone whose host takes no 8-bit content, where others get it encrypted", async () => {
    const mx = { ...goodMx, extensions: ["PIPELINING"] };
    const { site, got } = await rigWith({ sign: "never", encrypt: "if-known" }, {}, mx);
    const content = letter(["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8"], "Grüße\r\n");
    await submit(site, { to: ["bert@acme.test", "otto@acme.test"], content, parameters: " BODY=8BITMIME" });
    expect(opened(await got("bert@"), bert.key)?.toString()).toContain("Grüße");
    const failed = await site.logged("delivery", ({ outcome }) => outcome === "failed");
    expect(failed).toMatchObject({ recipients: ["otto@acme.test"], reason: "8bitmime-not-supported" });
  });

  it.each([
    ["the null sender", "", letter()],
    ["an empty body", "anna@example.org", letter([], "")],
    ["a header alone", "anna@example.org", "From: anna@example.org\r\nSubject: x\r\n"],
    ["a body that has no MIME fields and umlauts", "anna@example.org", letter([], "Gruesse \r\n.x\r\n")],
  ])("with %s", async (_, from, content) => {
    const { site, got } = await rigWith({ sign: "always" });
    expect(await submit(site, { from, to: "bert@acme.test", content })).toMatch(/^250/);
    expect(readDetached(await got("bert@")).verified).toBe(true);
  });

  it("never signs mail of others, nor mail that only claims to be ours", async () => {
    const { site, got } = await rigWith({ sign: "if-possible" });
    const others = letter().replace("anna@example.org", "carl@third.test");
    await submit(site, { from: "carl@third.test", to: "bert@acme.test", content: others });
    expect(typeOf(await got("bert@"))).toBe("");
    await submit(site, { from: "carl@third.test", to: "bea@acme.test", content: letter() });
    expect(typeOf(await got("bea@"))).toBe("");
  });

  it("always: is refused where there is no key for the author, and nothing is kept", async () => {
    const { site, mx } = await rigWith({ sign: "always" });
    const content = letter().replace("anna@example.org", "otto@example.org");
    const reply = await submit(site, { to: ["bert@acme.test", "bea@acme.test"], content });
    expect(reply).toMatch(/^550 5\.7\.5 .*bert@acme\.test.*there is no valid key for otto@example\.org/);
    expect(await stored(site)).toEqual(NOTHING);
    expect(mx.connections()).toBe(0);
    expect(await site.logged("message.refused")).toMatchObject({ stage: "data", enhancedCode: "5.7.5" });
  });

  it("by the gateway's key where the author has none", async () => {
    const rig = await createRig();
    const gateway = person("mail@example.org");
    await rig.useSigner("_gateway", gateway);
    await rig.useSigner("anna@example.org", anna);
    await rig.configure({ outbound: { smime: { sign: "always" } } }, SIGNERS);
    await rig.site.start();
    await submit(rig.site, { to: "bert@acme.test", content: letter().replace("anna@", "otto@") });
    expect(readDetached(await rig.got("bert@")).signer.raw.equals(gateway.der)).toBe(true);
    await submit(rig.site, { to: "bea@acme.test", content: letter() });
    expect(readDetached(await rig.got("bea@")).signer.raw.equals(anna.der)).toBe(true);
  });

  it("a message that cannot be read as MIME is refused where a signature is demanded, and nothing is kept", async () => {
    const { site } = await rigWith({ sign: "always" });
    const open = 'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n';
    const nested = Array.from({ length: 200 }, (_, at) =>
      open.replaceAll('"x"', `"x${at}"`).replace("--x", `--x${at}`),
    );
    const content = letter(["MIME-Version: 1.0", nested.join("")]);
    expect(await submit(site, { to: "bert@acme.test", content })).toMatch(/^550 5\.7\.5 S\/MIME is demanded/);
    expect(await stored(site)).toEqual(NOTHING);
  });
});

describe("encrypting", () => {
  it.each(["if-known", "always"])("%s: the recipient and the sender can read it, nobody else", async (encrypt) => {
    const { site, got } = await rigWith({ encrypt });
    await submit(site, { to: "bert@acme.test", content: letter(["X-Mailer: x"]) });
    const message = await got("bert@");
    expect(opened(message, bert.key)?.toString()).toContain(TEXT);
    expect(opened(message, anna.key)?.toString()).toContain(TEXT);
    expect(opened(message, bea.key)).toBeUndefined();
    expect(readersOf(message)).toBe(2);
    expect(message.toString()).not.toContain("Hello");
    expect(await delivered(site, "bert@")).toMatchObject({ smime: { signed: false, encrypted: true, recipients: 1 } });
  });

  it("signed and encrypted: the signature is inside; with triple_wrap another is around it [RFC 2634 §1.1]", async () => {
    const both = { sign: "always", encrypt: "always" };
    const { site, got } = await rigWith(both);
    await submit(site, { to: "bert@acme.test", content: letter() });
    const inner = opened(await got("bert@"), bert.key) ?? Buffer.of();
    expect(readDetached(inner).verified).toBe(true);
    const triple = await rigWith({ ...both, triple_wrap: true });
    await submit(triple.site, { to: "bert@acme.test", content: letter() });
    const message = await triple.got("bert@");
    expect(readDetached(message).verified).toBe(true);
    expect(typeOf(message)).toMatch(/^multipart\/signed/);
    const [envelope] = leavesOf(message);
    const around = Buffer.concat([
      Buffer.from("x: y\r\n\r\n"),
      Buffer.from(envelope?.content.toString("base64") ?? ""),
    ]);
    expect(readDetached(opened(around, bert.key) ?? Buffer.of()).verified).toBe(true);
  });

  it("always: without a certificate of every recipient nothing is sent to any, and nothing is kept", async () => {
    const { site, mx } = await rigWith({ encrypt: "always" });
    const reply = await submit(site, { to: ["bert@acme.test", "otto@acme.test"], content: letter() });
    expect(reply).toMatch(
      /^550 5\.7\.5 S\/MIME encryption is demanded for mail to otto@acme\.test, but no certificate of /,
    );
    expect(reply).not.toContain("bert@");
    expect(await stored(site)).toEqual(NOTHING);
    expect(mx.connections()).toBe(0);
  });

  it("if-known: each recipient gets what is due, blind ones alone, and no Bcc field leaves", async () => {
    const { site, got, mx } = await rigWith({ sign: "if-possible", encrypt: "if-known" });
    const content = letter(["Cc: otto@acme.test", "Bcc: bea@acme.test"]);
    await submit(site, { to: ["bert@acme.test", "otto@acme.test", "bea@acme.test"], content });
    const [toBert, toOtto, toBea] = [await got("bert@"), await got("otto@"), await got("bea@")];
    expect(mx.messages.map(({ recipients }) => recipients.length)).toEqual([1, 1, 1]);
    expect([opened(toBert, bert.key), opened(toBert, anna.key)].every((one) => one?.includes(TEXT))).toBe(true);
    expect([opened(toBert, bea.key), opened(toBea, bert.key)]).toEqual([undefined, undefined]);
    expect([readersOf(toBert), readersOf(toBea)]).toEqual([2, 2]);
    expect(opened(toBea, bea.key)?.includes(TEXT)).toBe(true);
    expect(readDetached(toOtto).verified).toBe(true);
    for (const one of [toBert, toOtto, toBea]) {
      expect(namesOf(one)).not.toContain("bcc");
      expect(headerOf(one)).not.toContain("bea@");
    }
    expect(await delivered(site, "otto@")).toMatchObject({ smime: { signed: true, encrypted: false } });
    expect(await delivered(site, "bea@")).toMatchObject({ smime: { signed: true, encrypted: true, recipients: 1 } });
  });

  it("takes no Bcc field along, even where headers: keep applies", async () => {
    const { site, got } = await rigWith(
      { encrypt: "if-known" },
      {
        outbound: { headers: "keep", smime: { encrypt: "if-known" } },
      },
    );
    const content = letter(["Bcc: bea@acme.test"]);
    await submit(site, { to: ["bert@acme.test", "bea@acme.test"], content });
    for (const one of ["bert@", "bea@"]) expect(count(await got(one), "bcc")).toBe(0);
  });

  it("to a certificate for the whole domain, where the address has none", async () => {
    const rig = await createRig();
    const domain = selfSignedPerson({ commonName: "acme", emails: ["gateway@acme.test"] });
    await rig.usePartner("@acme.test", domain);
    await rig.configure({ outbound: { smime: { encrypt: "always" } } });
    await rig.site.start();
    await submit(rig.site, { to: ["bert@acme.test"], content: letter() });
    expect(opened(await rig.got("bert@"), domain.key)?.includes(TEXT)).toBe(true);
  });

  it("a new certificate counts after a reload, and what a user was refused before goes through", async () => {
    const rig = await rigWith({ encrypt: "always" });
    expect(await submit(rig.site, { to: "otto@acme.test", content: letter() })).toMatch(/^550 5\.7\.5/);
    const otto = person("otto@acme.test");
    await rig.usePartner("otto", otto);
    expect(await rig.site.gateway().reload()).toEqual([]);
    expect(await submit(rig.site, { to: "otto@acme.test", content: letter() })).toMatch(/^250/);
    expect(opened(await rig.got("otto@"), otto.key)?.includes(TEXT)).toBe(true);
  });

  it("DKIM signs the result, whoever reads it, and an old signature of ours is gone", async () => {
    const rig = await createRig();
    await rig.useSigner("anna@example.org", anna);
    await rig.usePartner("bert", bert);
    const keys = await rig.useKeys([
      newKey("rsa-sha256", "example.org", "r"),
      newKey("ed25519-sha256", "example.org", "e"),
    ]);
    const smime = { sign: "if-possible", encrypt: "if-known" };
    await rig.configure({ outbound: { smime } }, { ...SIGNERS, ...keys });
    await rig.site.start();
    const old = "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=old; h=from; bh=eA==; b=eA==\r\n";
    await submit(rig.site, { to: ["bert@acme.test", "otto@acme.test"], content: old + letter() });
    for (const one of ["bert@", "otto@"]) {
      const message = await rig.got(one);
      const pass = ["example.org r rsa-sha256 pass", "example.org e ed25519-sha256 pass"];
      expect(await dkimVerdicts(message, rig.dns)).toEqual(pass);
    }
    expect(await delivered(rig.site, "bert@")).toMatchObject({
      dkim: { signatures: [{ selector: "r" }, { selector: "e" }] },
      smime: { encrypted: true },
    });
  });
});

describe("mail that a user has signed or encrypted", () => {
  const signedByUser = async (): Promise<string> => {
    const { site, got } = await rigWith({ sign: "always" });
    await submit(site, { to: "bert@acme.test", content: letter() });
    return (await got("bert@")).toString("latin1");
  };
  const encryptedByUser = async (): Promise<string> => {
    const { site, got } = await rigWith({ encrypt: "always" });
    await submit(site, { to: "bert@acme.test", content: letter() });
    return (await got("bert@")).toString("latin1");
  };
  const bodyOf = (message: Buffer | string): string =>
    message.toString("latin1").split("\r\n\r\n").slice(1).join("\r\n\r\n");

  it("is left as it is where it was signed, and the log says so", async () => {
    const content = await signedByUser();
    const { site, got } = await rigWith({ sign: "always" });
    expect(await submit(site, { to: "bert@acme.test", content })).toMatch(/^250/);
    expect(bodyOf(await got("bert@"))).toBe(bodyOf(content));
    expect(await delivered(site, "bert@")).toMatchObject({ smime: { signed: true, notes: ["already-signed"] } });
  });

  it("is encrypted where it was signed only", async () => {
    const content = await signedByUser();
    const { site, got } = await rigWith({ sign: "always", encrypt: "always" });
    await submit(site, { to: "bert@acme.test", content });
    const inner = opened(await got("bert@"), bert.key) ?? Buffer.of();
    expect(bodyOf(inner)).toBe(bodyOf(content));
    expect(readDetached(inner).verified).toBe(true);
    expect(await delivered(site, "bert@")).toMatchObject({
      smime: { signed: true, encrypted: true, notes: ["already-signed"] },
    });
  });

  it("is left as it is where it was encrypted, though no certificate is known", async () => {
    const content = await encryptedByUser();
    const { site, got } = await rigWith({ sign: "always", encrypt: "always" });
    expect(await submit(site, { to: "otto@acme.test", content })).toMatch(/^250/);
    expect(bodyOf(await got("otto@"))).toBe(bodyOf(content));
    expect(await delivered(site, "otto@")).toMatchObject({ smime: { encrypted: true, notes: ["already-encrypted"] } });
  });

  it.each([
    ["enveloped-data", 'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"'],
    ["OpenPGP", 'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=x'],
  ])(
    "is not believed to be encrypted (%s) when its body is plain: always refuses it, and it does not slip through",
    async (_, type) => {
      const content = letter(["MIME-Version: 1.0", type], "Secret in plain\r\n");
      const refusing = await rigWith({ encrypt: "always" });
      expect(await submit(refusing.site, { to: "otto@acme.test", content })).toMatch(/^550 5\.7\.5/);
      expect(await stored(refusing.site)).toEqual(NOTHING);
      expect(await submit(refusing.site, { to: "bert@acme.test", content })).toMatch(/^250/);
      const message = await refusing.got("bert@");
      expect(message.toString()).not.toContain("Secret");
      expect(opened(message, bert.key)?.toString()).toContain("Secret in plain");
    },
  );
});
