import { createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { DkimKeySettings } from "../../src/mail/treatment.ts";
import {
  type DkimKey,
  DkimKeyError,
  dkimSigner,
  isSignatureOf,
  keysNow,
  signOctets,
} from "../../src/transform/dkim/key.ts";
import { relaxedField, signedOctets, withoutSignature } from "../../src/transform/dkim/signed-header.ts";
import { DkimSigningError, signHeader } from "../../src/transform/dkim/sign.ts";
import { readTags, tagField, withoutBlanks } from "../../src/transform/dkim/tag-list.ts";
import { fieldOf, fieldText, parseHeader } from "../../src/transform/header-block.ts";
import { AT, bodyHashOf, bothKeys, newKey, signers } from "../unit/transform/dkim-keys.ts";

const field = (text: string) => fieldOf(Buffer.from(`${text}\r\n`, "latin1"));
const tagsOf = (raw: Buffer) => readTags(fieldText(fieldOf(raw)))!;

describe("the relaxed form of a field (RFC 6376 §3.4.2)", () => {
  it.each([
    ["the example (§3.4.5), one", "A: X", "a:X"],
    ["the example (§3.4.5), two", "B : Y\t\r\n\tZ  ", "b:Y Z"],
    ["nothing in it", "Subject:", "subject:"],
    ["nothing but blanks in it", "Subject: \t ", "subject:"],
    ["several folds", "To: a@x.test,\r\n  b@x.test,\r\n\tc@x.test", "to:a@x.test, b@x.test, c@x.test"],
    ["colons in the value", "Subject: Re: x", "subject:Re: x"],
    ["8-bit octets, which have no case", "Subject: \xc4\xe4", "subject:\xc4\xe4"],
  ])("of %s", (_, written, relaxed) => {
    expect(relaxedField(field(written))).toBe(relaxed);
  });

  it.each([
    ["at its end", "DKIM-Signature: v=1; bh=AA==; b=QU\r\n JD", "dkim-signature:v=1; bh=AA==; b="],
    ["in the middle", "DKIM-Signature: v=1; b = QU JD ; bh=AA==", "dkim-signature:v=1; b =; bh=AA=="],
    ["at its beginning", "DKIM-Signature: b=QUJD; v=1", "dkim-signature:b=; v=1"],
    ["nowhere", "DKIM-Signature: v=1; bb=QUJD", "dkim-signature:v=1; bb=QUJD"],
  ])("of a signature leaves out the value of b= that stands %s (§3.7)", (_, written, relaxed) => {
    expect(withoutSignature(field(written))).toBe(relaxed);
  });
});

describe("the example of RFC 8463 appendix A", () => {
  const header = [
    "From: Joe SixPack <joe@football.example.com>",
    "To: Suzie Q <suzie@shopping.example.net>",
    "Subject: Is dinner ready?",
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)",
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>",
  ];
  const fields = parseHeader(Buffer.from(`${header.join("\r\n")}\r\n\r\n`));
  const signature = (algorithm: string, selector: string, b: readonly string[]) =>
    field(
      [
        `DKIM-Signature: v=1; a=${algorithm}; c=relaxed/relaxed;`,
        " d=football.example.com; i=@football.example.com;",
        ` q=dns/txt; s=${selector}; t=1528637909; h=from : to :`,
        " subject : date : message-id : from : subject : date;",
        " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;",
        ` b=${b.join("\r\n ")}`,
      ].join("\r\n"),
    );
  const octetsOf = (one: ReturnType<typeof field>) => {
    const tags = readTags(fieldText(one))!;
    return {
      octets: signedOctets(fields, withoutBlanks(tags.get("h")!).split(":"), one),
      b: withoutBlanks(tags.get("b")!),
    };
  };
  const seed = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
  const privateKey = createPrivateKey({
    key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.from(seed, "base64")]),
    format: "der",
    type: "pkcs8",
  });

  it("is signed with its Ed25519 key as it is signed there", async () => {
    const { octets, b } = octetsOf(
      signature("ed25519-sha256", "brisbane", [
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus",
        "Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==",
      ]),
    );
    const key = { algorithm: "ed25519-sha256", privateKey } as DkimKey;
    expect(await signOctets(key, octets)).toBe(b);
  });

  it("verifies with its RSA key, and not when a field is changed", async () => {
    const p =
      "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC" +
      "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB";
    const publicKey = createPublicKey({ key: Buffer.from(p, "base64"), format: "der", type: "spki" });
    const { octets, b } = octetsOf(
      signature("rsa-sha256", "test", [
        "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3",
        "DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz",
        "dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=",
      ]),
    );
    const key = { algorithm: "rsa-sha256", publicKey } as const;
    expect(await isSignatureOf(key, octets, b)).toBe(true);
    expect(await isSignatureOf(key, Buffer.concat([octets, Buffer.from(" ")]), b)).toBe(false);
  });
});

describe("a signed header", () => {
  let keys: readonly DkimKeySettings[];
  beforeAll(() => void (keys = bothKeys()));
  const body = bodyHashOf(Buffer.from("Hello\r\n"));
  const header = (...lines: string[]) => Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  const usual = header(
    "Received: by us",
    "From: anna@example.org",
    "To: bert@acme.example",
    "X-More: 1",
    "To: carl@x.test",
  );

  it("has one signature of each key on top, in their order, with its times in seconds", async () => {
    const signed = parseHeader(await signHeader(usual, body, signers(keys), AT));
    const all = signed.slice(0, 2).map(({ name, raw }) => [name, tagsOf(raw)] as const);
    expect(all.map(([name, tags]) => [name, tags.get("a"), tags.get("d"), tags.get("s")])).toEqual([
      ["DKIM-Signature", "rsa-sha256", "example.org", "rsa"],
      ["DKIM-Signature", "ed25519-sha256", "example.org", "ed"],
    ]);
    for (const [, tags] of all)
      expect(Object.fromEntries(tags)).toMatchObject({
        v: "1",
        c: "relaxed/relaxed",
        t: "1795478400",
        x: "1796342400",
      });
    expect(all.some(([, tags]) => tags.has("l"))).toBe(false); // RFC 6376 §8.2
  });

  it("names what matters once more than it is there, so that nothing can be added (§8.15)", async () => {
    const [signature] = parseHeader(await signHeader(usual, body, signers(keys), AT));
    const names = withoutBlanks(tagsOf(signature!.raw).get("h")!).split(":");
    const count = (name: string) => names.filter((one) => one === name).length;
    expect(Object.fromEntries([...new Set(names)].map((name) => [name, count(name)]))).toEqual({
      From: 2,
      Subject: 1,
      Date: 1,
      To: 3,
      Cc: 1,
      "Reply-To": 1,
      "Message-ID": 1,
      "MIME-Version": 1,
      "Content-Type": 1,
      "Content-Transfer-Encoding": 1,
    });
  });

  it("covers the other usual fields as often as they are there, and no trace fields (§5.4.1)", async () => {
    const more = ["List-Id: <l.example.org>", "REFERENCES : <1@x>", "Resent-To: a@b.test", "Resent-To: c@b.test"];
    const [signature] = parseHeader(
      await signHeader(
        header("Received: x", "Return-Path: <>", "From: a@example.org", ...more),
        body,
        signers(keys),
        AT,
      ),
    );
    const names = withoutBlanks(tagsOf(signature!.raw).get("h")!).split(":").slice(11);
    expect(names).toEqual(["References", "Resent-To", "Resent-To", "List-Id"]);
  });

  it("has lines of at most 78 octets", async () => {
    const signed = await signHeader(usual, body, signers(keys), AT);
    const lines = signed.toString("latin1").split("\r\n");
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(78);
    expect(lines.filter((line) => line.trim() === "")).toHaveLength(2); // the end of the header alone
  });

  it("is the same each time", async () => {
    const made = await Promise.all([1, 2, 3].map(() => signHeader(usual, body, signers(keys), AT)));
    expect(new Set(made.map(String)).size).toBe(1);
  });

  it("without a key is the header as it was", async () => {
    expect(await signHeader(usual, body, [], AT)).toEqual(usual);
  });

  it("is never what was there changed: it stands below, octet for octet", async () => {
    const ed = signers(keys.slice(1));
    const line = fc.oneof(
      fc.constantFrom(
        "From: a@example.org",
        "to : b@x.test",
        "X:",
        "broken line",
        "Subject: \xe4\r\n\t b ",
        "DKIM-Signature: b=;",
      ),
      fc.string({ unit: "binary", maxLength: 40 }).map((text) => `X-Any: ${text.replace(/[\r\n]/g, "")}`),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 12 }), async (lines) => {
        const original = header(...lines);
        const signed = await signHeader(original, body, ed, AT);
        expect(signed.subarray(signed.length - original.length)).toEqual(original);
        const [added, ...below] = parseHeader(signed);
        expect(added?.name).toBe("DKIM-Signature");
        expect(below.map(({ raw }) => raw)).toEqual(parseHeader(original).map(({ raw }) => raw));
      }),
      { numRuns: 100 },
    );
  });
});

describe("a signature that would not hold", () => {
  const body = bodyHashOf(Buffer.from("x"));

  it("is an error, never a message without one: the key's two halves differ", async () => {
    const [one, other] = [newKey("ed25519-sha256"), newKey("ed25519-sha256")].map(dkimSigner);
    const broken = { ...one!, publicKey: other!.publicKey };
    await expect(signHeader(Buffer.from("From: a@x.test\r\n\r\n"), body, [broken], AT)).rejects.toBeInstanceOf(
      DkimSigningError,
    );
  });

  it("is an error: node:crypto cannot sign", async () => {
    const key = dkimSigner(newKey("ed25519-sha256"));
    const broken = { ...key, privateKey: key.publicKey };
    await expect(signHeader(Buffer.from("From: a@x.test\r\n\r\n"), body, [broken], AT)).rejects.toBeInstanceOf(
      DkimSigningError,
    );
  });

  it("is an error: the header begins in the middle of a field", async () => {
    const key = dkimSigner(newKey("ed25519-sha256"));
    await expect(signHeader(Buffer.from(" x\r\nFrom: a@x.test\r\n\r\n"), body, [key], AT)).rejects.toBeInstanceOf(
      DkimSigningError,
    );
  });
});

describe("a key", () => {
  const pem = (bits: number) =>
    generateKeyPairSync("rsa", { modulusLength: bits }).privateKey.export({ type: "pkcs8", format: "pem" });

  it.each([
    ["is no key", () => ({ algorithm: "rsa-sha256", key: "secret words" }) as const],
    ["is of the other kind", () => ({ algorithm: "rsa-sha256", key: newKey("ed25519-sha256").key }) as const],
    ["is too short (RFC 8301 §3.2)", () => ({ algorithm: "rsa-sha256", key: String(pem(768)) }) as const],
  ])("that %s does not sign, and is not shown", (_, wrong) => {
    const settings = { domain: "example.org", selector: "s", ...wrong() };
    const make = () => dkimSigner(settings);
    expect(make).toThrow(DkimKeyError);
    expect(make).toThrow(/s\._domainkey\.example\.org/);
    expect(make).not.toThrow(/secret|BEGIN/);
  });

  it.each([
    ["before its time", { notBefore: 101 }, false],
    ["from its time on", { notBefore: 100 }, true],
    ["before its end", { endsAt: 101 }, true],
    ["at its end", { endsAt: 100 }, false],
    ["without dates", {}, true],
  ])("signs %s: %o", (_, dates, signs) => {
    expect(keysNow([dates], 100)).toEqual(signs ? [dates] : []);
  });
});

describe("a tag list (RFC 6376 §3.2)", () => {
  it("is read with white space around names and values, and of one name the first", () => {
    expect([...readTags(" v = 1 ;\t a=b=c;a=d; ")!]).toEqual([
      ["v", "1"],
      ["a", "b=c"],
    ]);
  });

  it.each(["no tag", "v=1; x; y=2", "=1"])("is none: %s", (text) => {
    expect(readTags(text)).toBeUndefined();
  });

  it("is written with values of any length whole", () => {
    const long = "x".repeat(300);
    const raw = tagField("X", [
      ["d", long],
      ["h", Array.from({ length: 50 }, () => "Received").join(":")],
      ["b", "A".repeat(1000)],
    ]);
    const tags = tagsOf(raw);
    expect(tags.get("d")).toBe(long);
    expect(withoutBlanks(tags.get("h")!).split(":")).toHaveLength(50);
    expect(withoutBlanks(tags.get("b")!)).toBe("A".repeat(1000));
  });
});
