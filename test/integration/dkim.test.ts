import { dkimSign } from "mailauth/lib/dkim/sign.js";
import { dkimVerify } from "mailauth/lib/dkim/verify.js";
import { beforeAll, describe, expect, it } from "vitest";
import type { DkimKeySettings } from "../../src/mail/treatment.ts";
import { readArcChain, type ArcChain } from "../../src/transform/dkim/arc-chain.ts";
import { sealHeader } from "../../src/transform/dkim/arc-seal.ts";
import { heldByOthers, NOTHING_HELD } from "../../src/transform/dkim/foreign.ts";
import { dkimSigner } from "../../src/transform/dkim/key.ts";
import { signHeader } from "../../src/transform/dkim/sign.ts";
import { type LookUpTxt, verifyMessage } from "../../src/transform/dkim/verify.ts";
import { messages } from "../corpus/messages.ts";
import { chunked } from "../unit/transform/smime-mime-chunks.ts";
import { AT, bodyHashOf, bothKeys, dnsOf, newKey, signers } from "../unit/transform/dkim-keys.ts";

let keys: readonly DkimKeySettings[];
let other: DkimKeySettings;
beforeAll(() => {
  keys = bothKeys();
  other = newKey("rsa-sha256", "list.test", "arc");
});
const { now } = AT;
const unasked: LookUpTxt = (name) => Promise.reject(new Error(`${name} was looked up`));

describe("every message of the corpus", () => {
  it.each(messages.map((one) => [one.name, one] as const))(
    "verifies with both keys: %s",
    async (_, { header, body }) => {
      const txt = dnsOf(...keys);
      const signed = await signHeader(header, bodyHashOf(body), signers(keys), AT);
      expect(signed.subarray(-header.length)).toEqual(header);
      const { results } = await dkimVerify(Buffer.concat([signed, body]), {
        strict: true,
        curTime: new Date(now),
        resolver: async (name) => [[...(await txt(name).catch(() => []))]],
      });
      const ours = results.filter(({ signingDomain }) => signingDomain === "example.org").slice(0, 2);
      expect(ours.map(({ algo, status }) => [algo, status.result, status.comment])).toEqual([
        ["rsa-sha256", "pass", undefined],
        ["ed25519-sha256", "pass", undefined],
      ]);
    },
  );
});

const header: Buffer = Buffer.from(
  "Received: x\r\nFrom: anna@shop.test\r\nTo: bert@own.test\r\nSubject: x\r\nList-Id: <l.shop.test>\r\n\r\n",
);
const body: Buffer = Buffer.from("Hello  you \r\n\r\n".repeat(3000));
const streamed = (head: Buffer, content: Buffer = body) => ({ header: head, body: chunked(content, 4096) });

describe("what others signed", () => {
  const signedBy = async (settings: DkimKeySettings, head = header) =>
    signHeader(head, bodyHashOf(body), [dkimSigner(settings)], AT);
  const held = (head: Buffer, txt: LookUpTxt, content: Buffer = body) =>
    heldByOthers(streamed(head, content), { ownDomains: ["own.test"], txt, now });
  const covered = async (head: Buffer, txt: LookUpTxt, content: Buffer = body) =>
    [...(await held(head, txt, content)).fields].sort();
  const fields =
    "cc content-transfer-encoding content-type date from list-id message-id mime-version reply-to subject to".split(
      " ",
    );

  it("is held by their valid signature", async () => {
    const shop = newKey("rsa-sha256", "shop.test");
    expect(await covered(await signedBy(shop), dnsOf(shop))).toEqual(fields);
  });

  it("is not held by one that is broken, of another key or without a record", async () => {
    const shop = newKey("ed25519-sha256", "shop.test");
    const signed = await signedBy(shop);
    expect(await covered(signed, dnsOf(shop), Buffer.from("other"))).toEqual([]);
    expect(await covered(signed, dnsOf(newKey("ed25519-sha256", "shop.test")))).toEqual([]);
    expect(await covered(signed, dnsOf())).toEqual([]);
  });

  it("is held as long as nobody knows: DNS does not answer", async () => {
    expect(await covered(await signedBy(newKey("ed25519-sha256", "shop.test")), unasked)).toEqual(fields);
  });

  it.each([
    ["held", "above", 10, "the first of eleven", true],
    ["not held", "below", 10, "the eleventh", false],
    ["held", "below", 9, "the tenth", true],
  ] as const)("is %s by a valid signature %s %i others: %s", async (_, where, count, __, isHeld) => {
    const shop = newKey("ed25519-sha256", "shop.test");
    let head = where === "below" ? await signedBy(shop) : header;
    for (let at = 0; at < count; at += 1) head = await signedBy(newKey("ed25519-sha256", "junk.test"), head);
    if (where === "above") head = await signedBy(shop, head);
    expect(await covered(head, dnsOf(shop))).toEqual(isHeld ? fields : []);
  });

  it("is held by a name below ours, since it may be given to others; who signs is told", async () => {
    const letters = newKey("ed25519-sha256", "Letters.own.test");
    const signed = await signedBy(letters);
    expect(await covered(signed, dnsOf(letters))).toEqual(fields);
    expect((await held(signed, dnsOf(letters))).signers).toEqual(new Set(["letters.own.test"]));
    expect(await held(signed, dnsOf())).toEqual(NOTHING_HELD);
  });

  it.each([
    ["lines in one field", () => `To: ${"a\r\n ".repeat(60_000)}b\r\n`],
    ["names and fields to compare", () => `DKIM-Signature: h=${"a:".repeat(40_000)}b\r\n${"a: b\r\n".repeat(9_000)}`],
    ["lines", () => "a:\r\n".repeat(60_000)],
  ])("is held unread, and at once, by a header with too many %s", async (_, lines) => {
    const head = Buffer.concat([Buffer.from(lines()), await signedBy(newKey("ed25519-sha256", "shop.test"))]);
    const cpu = process.cpuUsage();
    expect(await covered(head, unasked)).toEqual(expect.arrayContaining(fields));
    expect(process.cpuUsage(cpu).user / 1e6).toBeLessThan(2); // mailauth would take some ten seconds
  });

  it("is nothing where only we, or a name for inside use, have signed; the body is not read", async () => {
    const [ours, inside] = ["own.test", "exch01.corp.local"].map((domain) => newKey("ed25519-sha256", domain));
    const signed = await signedBy(inside!, await signedBy(ours!));
    const unread = { header: signed, body: () => ({ [Symbol.asyncIterator]: () => expect.unreachable() }) };
    expect(await heldByOthers(unread, { ownDomains: ["own.test"], txt: unasked, now })).toEqual(NOTHING_HELD);
  });

  it("is no answer when the body cannot be read", async () => {
    const broken = new Error("the spool is damaged");
    const message = {
      header: await signedBy(newKey("ed25519-sha256", "shop.test")),
      async *body() {
        yield body;
        throw broken;
      },
    };
    await expect(heldByOthers(message, { ownDomains: [], txt: dnsOf(), now })).rejects.toBe(broken);
  });
});

describe("the reader of signatures", () => {
  const content = Buffer.from("a  line \t\r\n \r\n..x\r\n\r\n \r\n\r\n");
  const results = async (message: Buffer, settings: DkimKeySettings, at: Buffer = content) =>
    (await verifyMessage(streamed(message, at), dnsOf(settings), now))?.signatures.map(({ result }) => result);

  it.each([
    ["relaxed/relaxed", undefined],
    ["relaxed/simple", undefined],
    ["simple/simple", undefined],
    ["simple/relaxed", undefined],
    ["relaxed/relaxed", 12],
    ["relaxed/simple", 12],
  ] as const)("knows every way to sign, as mailauth does itself: %s, l=%s", async (canonicalization, maxBodyLength) => {
    const shop = newKey("rsa-sha256", "shop.test");
    const by = { signingDomain: "shop.test", selector: shop.selector, privateKey: shop.key };
    const limit = maxBodyLength === undefined ? {} : { maxBodyLength };
    const { signatures } = await dkimSign(Buffer.concat([header, content]), {
      ...by,
      canonicalization,
      signTime: new Date(now),
      signatureData: [{ ...by, ...limit }],
    });
    const head = Buffer.concat([Buffer.from(signatures), header]);
    const more = Buffer.concat([content, Buffer.from("more\r\n")]);
    const changed = Buffer.concat([Buffer.from("more\r\n"), content]);
    expect(await results(head, shop)).toEqual(["pass"]);
    expect(await results(head, shop, more)).toEqual([maxBodyLength === undefined ? "fail" : "pass"]);
    expect(await results(head, shop, changed)).toEqual(["fail"]);
  });

  it("takes a line of any length in linear time and constant memory", async () => {
    const shop = newKey("ed25519-sha256", "shop.test");
    const head = Buffer.concat([
      Buffer.from(
        "DKIM-Signature: v=1; a=ed25519-sha256; d=shop.test; s=x; h=from; bh=AAAA; b=AAAA; c=simple/relaxed\r\n",
      ),
      header,
    ]);
    const chunk = Buffer.alloc(65_536, "a");
    const message = {
      header: head,
      async *body() {
        for (let count = 0; count < 512; count += 1) yield chunk;
      },
    };
    const cpu = process.cpuUsage();
    expect((await verifyMessage(message, dnsOf(shop), now))?.signatures[0]?.result).toBe("fail");
    expect(process.cpuUsage(cpu).user / 1e6).toBeLessThan(5); // mailauth alone took some twenty seconds
  });
});

describe("ARC (RFC 8617)", () => {
  const ours = () => dkimSigner(keys[0]!);
  const chainOf = async (head: Buffer, content: Buffer = body, txt = dnsOf(...keys, other)) => {
    const chain = await readArcChain(streamed(head, content), txt, now);
    if ("unsealed" in chain) throw new Error(chain.unsealed);
    return chain;
  };
  const seal = async (head: Buffer, chain: ArcChain, settings = keys[0]!, content: Buffer = body) =>
    sealHeader(head, bodyHashOf(content), { chain, key: dkimSigner(settings), hostname: "mx.example.org", now });
  const worth = async (head: Buffer, content: Buffer = body) =>
    (await verifyMessage(streamed(head, content), dnsOf(...keys, other), now))?.chain;

  it("begins a chain: three fields on top, nothing else changed, and it passes", async () => {
    const chain = await chainOf(header);
    const sealed = await seal(header, chain);
    const added = sealed.subarray(0, sealed.length - header.length).toString();
    expect(sealed.subarray(-header.length)).toEqual(header);
    expect(added.match(/^[A-Z][^:]*/gm)).toEqual(["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"]);
    expect(added).toMatch(/^ARC-Seal: i=1; a=rsa-sha256; t=1795478400; cv=none; d=example\.org; s=rsa;/);
    expect(added).toContain("ARC-Authentication-Results: i=1; mx.example.org;\r\n dkim=none;\r\n arc=none\r\n");
    expect(await worth(sealed)).toBe("pass");
    expect(await worth(sealed, Buffer.from("other"))).toBe("fail");
  });

  it("goes on with a chain that holds, RSA and Ed25519 in turn, other hops between", async () => {
    let head: Buffer = header;
    for (const [index, settings] of [keys[0]!, other, keys[1]!, keys[0]!].entries()) {
      const chain = await chainOf(head);
      expect(chain).toMatchObject({ next: index + 1, status: index === 0 ? "none" : "pass" });
      head = await seal(head, chain, settings);
      expect(await worth(head)).toBe("pass");
      head = Buffer.concat([Buffer.from("Received: another hop\r\n"), head]);
    }
  });

  it("says what it found of DKIM, in words of nobody else", async () => {
    const shop = newKey("ed25519-sha256", "shop.test", "s1");
    const signed = await signHeader(header, bodyHashOf(body), [dkimSigner(shop)], AT);
    const forged = Buffer.from('DKIM-Signature: v=1; d=x"(y; s=z; dmarc=pass\r\n');
    const chain = await chainOf(Buffer.concat([forged, signed]), body, dnsOf(shop));
    expect(chain.results).toEqual([
      "dkim=neutral header.s=z",
      "dkim=pass header.d=shop.test header.s=s1 header.a=ed25519-sha256",
    ]);
  });

  it("seals the failure of a chain, itself alone (§5.1.2), and nothing more after that", async () => {
    const once = await seal(header, await chainOf(header));
    const changed = Buffer.from("another body\r\n");
    const chain = await chainOf(once, changed);
    expect(chain).toMatchObject({ status: "fail", next: 2 });
    const twice = await seal(once, chain, other, changed);
    expect(twice.toString()).toMatch(/^ARC-Seal: i=2; a=rsa-sha256; t=\d+; cv=fail;/);
    expect(await readArcChain(streamed(twice, changed), dnsOf(...keys, other), now)).toEqual({
      unsealed: "its ARC chain had failed before it came here",
    });
  });

  it.each([
    ["a set that is not whole", "ARC-Seal: i=3; cv=none; d=x.test; s=x; b=AAAA\r\n", 4],
    ["an instance that is none", "ARC-Seal: i=x; cv=none; d=x.test; s=x; b=AAAA\r\n", 1],
    ["the same instance twice", "ARC-Message-Signature: i=1; b=\r\nARC-Message-Signature: i=1; b=\r\n", 2],
  ])("takes %s for a chain that failed", async (_, fields, next) => {
    const chain = await chainOf(Buffer.concat([Buffer.from(fields), header]));
    expect(chain).toMatchObject({ status: "fail", next });
  });

  it("adds no 51st set (§4.2.1)", async () => {
    const full = Buffer.concat([Buffer.from("ARC-Seal: i=50; cv=pass; d=x.test; s=x; b=AAAA\r\n"), header]);
    expect(await readArcChain(streamed(full), unasked, now)).toEqual({ unsealed: "its ARC chain has 50 sets already" });
  });

  it("does not seal what it could not check", async () => {
    const many = Buffer.concat([Buffer.from("DKIM-Signature: v=1\r\n".repeat(11)), header]);
    expect(await readArcChain(streamed(many), unasked, now)).toEqual({
      unsealed: "its signatures could not be checked",
    });
  });

  it("is an error where the seal would not hold", async () => {
    const broken = { ...ours(), publicKey: dkimSigner(other).publicKey };
    const sealing = { chain: await chainOf(header), key: broken, hostname: "mx.example.org", now };
    await expect(sealHeader(header, bodyHashOf(body), sealing)).rejects.toThrow("does not hold");
  });
});
