import { createPublicKey } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { parseMailbox } from "../../../src/mail/mailbox.ts";
import type { DkimKeySettings } from "../../../src/mail/treatment.ts";
import { maySign } from "../../../src/transform/dkim/may-sign.ts";
import { compareRecord, dkimRecord, zoneLine } from "../../../src/transform/dkim/record.ts";
import { bothKeys, newKey } from "./dkim-keys.ts";

let rsa: DkimKeySettings;
let ed: DkimKeySettings;
beforeAll(() => void ([rsa, ed] = bothKeys() as [DkimKeySettings, DkimKeySettings]));

/** The key as RFC 6376 §3.6.1 calls it, and as nobody publishes it. */
const pkcs1 = () => createPublicKey(rsa.key).export({ type: "pkcs1", format: "der" }).toString("base64");
const p = (settings: DkimKeySettings) => /p=(.*)/.exec(dkimRecord(settings).value)![1]!;

describe("the record of a key", () => {
  it("stands below its domain, and says what it is", () => {
    expect(dkimRecord(rsa)).toEqual({
      name: "rsa._domainkey.example.org",
      value: expect.stringMatching(/^v=DKIM1; k=rsa; p=MIIBIjAN[A-Za-z0-9+/]{380,}=*$/),
    });
  });

  it("has the 32 octets of an Ed25519 key alone (RFC 8463 §4)", () => {
    expect(dkimRecord(ed).value).toMatch(/^v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}=$/);
  });

  it("is written for a zone in strings of at most 255 octets (RFC 1035 §3.3)", () => {
    const line = zoneLine(dkimRecord(rsa));
    const strings = [...line.matchAll(/"([^"]*)"/g)].map(([, text = ""]) => text);
    expect(line).toMatch(/^rsa\._domainkey\.example\.org\. IN TXT \( "/);
    expect(strings.map(({ length }) => length <= 255)).toEqual([true, true]);
    expect(strings.join("")).toBe(dkimRecord(rsa).value);
  });
});

describe("what DNS publishes of a key", () => {
  it.each([
    ["as it is to be", () => dkimRecord(rsa).value],
    ["without v= and k=", () => `p=${p(rsa)}`],
    ["with blanks in the key", () => `v=DKIM1 ; p = ${p(rsa).replace(/.{60}/g, "$& ")}`],
    ["in the other form of RSA keys", () => `v=DKIM1; k=rsa; p=${pkcs1()}`],
    ["for mail and SHA-256 among others", () => `v=DKIM1; h=sha1:sha256; s=tlsrpt : email; t=s; n=x; p=${p(rsa)};`],
  ])("is right: %s", (_, record) => {
    expect(compareRecord(rsa, [record()])).toBe("ok");
  });

  it("is right for Ed25519", () => {
    expect(compareRecord(ed, [dkimRecord(ed).value])).toBe("ok");
  });

  it.each([
    ["no name", () => "absent" as const, "missing"],
    ["no record", () => [], "missing"],
    ["no answer", () => "failed" as const, "unknown"],
    ["two records", () => [dkimRecord(rsa).value, "v=spf1 -all"], "several"],
    ["something else", () => ["v=spf1 -all"], "unreadable"],
    ["no tags", () => ["hello"], "unreadable"],
    ["a revoked key", () => ["v=DKIM1; p="], "revoked"],
    ["another RSA key", () => [dkimRecord(newKey("rsa-sha256")).value], "other-key"],
    ["a key of the other kind", () => [dkimRecord(ed).value], "other-key"],
    ["a key that is none", () => ["v=DKIM1; p=AAAA"], "other-key"],
    ["SHA-1 only", () => [`v=DKIM1; h=sha1; p=${p(rsa)}`], "unusable"],
    ["not for mail", () => [`v=DKIM1; s=tlsrpt; p=${p(rsa)}`], "unusable"],
    ["a test (RFC 6376 §3.6.1)", () => [`v=DKIM1; t=s:y; p=${p(rsa)}`], "testing"],
  ])("is a problem: %s", (_, txt, kind) => {
    expect(compareRecord(rsa, txt())).toMatchObject({ kind });
  });

  it("is said with the record to publish", () => {
    expect(compareRecord(rsa, "absent")).toEqual({
      kind: "missing",
      problem: "There is no record at rsa._domainkey.example.org",
      remedy: `publish at rsa._domainkey.example.org: ${dkimRecord(rsa).value}`,
    });
  });
});

describe("whose keys sign", () => {
  const author = (address: string) => ({ isOurs: true, author: parseMailbox(address)! });
  const keys = new Map([
    [
      "own.test",
      [
        { selector: "old", endsAt: 100 },
        { selector: "new", notBefore: 90 },
      ],
    ],
    ["bare.own.test", []],
    ["later.test", [{ selector: "x", notBefore: 200 }]],
  ]);

  it.each([
    ["the author's domain", "a@own.test", 50, { domain: "own.test", selectors: ["old"] }],
    ["all that are in force", "a@own.test", 95, { domain: "own.test", selectors: ["old", "new"] }],
    ["the next one alone", "a@own.test", 100, { domain: "own.test", selectors: ["new"] }],
    ["the domain above (RFC 7489 §3.1.1)", "a@it.own.test", 100, { domain: "own.test", selectors: ["new"] }],
  ])("%s", (_, address, now, { domain, selectors }) => {
    const made = maySign(author(address), keys, now);
    expect(made).toMatchObject({ domain, keys: selectors.map((selector) => ({ selector })) });
  });

  it.each([
    ["no key in force", author("a@later.test"), "its domain has no DKIM key in force"],
    ["a domain of its own without keys", author("a@bare.own.test"), "its domain has no DKIM key in force"],
    ["no domain of ours", author("a@notown.test"), "its domain has no DKIM key in force"],
    ["an address literal", author("a@[192.0.2.1]"), "its domain has no DKIM key in force"],
    ["no author", { isOurs: true, unsigned: "there is more than one From field" }, "there is more than one From field"],
  ])("nobody's: %s", (_, sender, unsigned) => {
    expect(maySign(sender, keys, 100)).toEqual({ unsigned });
  });
});
