import { describe, expect, it } from "vitest";
import { usableRecords } from "../../../src/connect/tlsa-records.ts";
import type { TlsaRecord } from "../../../src/mail/published.ts";
import { createAuthority } from "../../peers/certificates.ts";
import { X509Certificate } from "node:crypto";

const certificate = new X509Certificate(createAuthority("TLSA test CA").certificate);
const CERTIFICATE = certificate.raw;
const KEY = certificate.publicKey.export({ format: "der", type: "spki" });

const [SHA256, SHA512] = [Buffer.alloc(32, 1), Buffer.alloc(64, 2)];

function record(numbers: string, data: Buffer): TlsaRecord {
  const [usage = -1, selector = -1, matchingType = -1] = numbers.split(" ").map(Number);
  return { usage, selector, matchingType, data };
}
const numbers = (records: readonly TlsaRecord[]) =>
  records.map(({ usage, selector, matchingType }) => `${usage} ${selector} ${matchingType}`);

describe("a TLSA record can be used with SMTP", () => {
  it.each<[string, Buffer]>([
    ["2 0 0", CERTIFICATE],
    ["2 1 0", KEY],
    ["3 0 0", CERTIFICATE],
    ["3 1 0", KEY],
    ...[2, 3].flatMap((usage) =>
      [0, 1].flatMap((selector): [string, Buffer][] => [
        [`${usage} ${selector} 1`, SHA256],
        [`${usage} ${selector} 2`, SHA512],
      ]),
    ),
  ])("%s [RFC 7672 §3.1]", (text, data) => {
    expect(usableRecords([record(text, data)])).toEqual([record(text, data)]);
  });
});

describe("a TLSA record cannot be used with SMTP", () => {
  it.each<[string, string, Buffer]>([
    ["PKIX-TA [RFC 7672 §3.1.3]", "0 0 1", SHA256],
    ["PKIX-EE [RFC 7672 §3.1.3]", "1 1 1", SHA256],
    ["an unknown usage [RFC 6698 §4.1]", "4 1 1", SHA256],
    ["the private usage [RFC 7218 §2.1]", "255 1 1", SHA256],
    ["an unknown selector [RFC 6698 §4.1]", "3 2 1", SHA256],
    ["the private selector [RFC 7218 §2.2]", "3 255 1", SHA256],
    ["an unknown matching type [RFC 6698 §4.1]", "3 1 3", SHA512],
    ["the private matching type [RFC 7218 §2.3]", "3 1 255", SHA256],
    ["a SHA2-256 digest that is too short [RFC 7671 §4.1]", "3 1 1", SHA256.subarray(1)],
    ["a SHA2-256 digest that is too long", "3 1 1", Buffer.concat([SHA256, SHA256.subarray(31)])],
    ["a SHA2-512 digest of the length of SHA2-256", "3 1 2", SHA256],
    ["a digest of nothing", "3 1 1", Buffer.alloc(0)],
    ["a certificate that is none", "2 0 0", SHA256],
    ["a certificate that is cut off", "2 0 0", CERTIFICATE.subarray(0, -1)],
    ["a certificate with something behind it", "3 0 0", Buffer.concat([CERTIFICATE, Buffer.alloc(1)])],
    ["a certificate as PEM", "3 0 0", Buffer.from(certificate.toString())],
    ["a key where a certificate must be", "2 0 0", KEY],
    ["a certificate where a key must be", "2 1 0", CERTIFICATE],
    ["a key that is cut off", "3 1 0", KEY.subarray(0, -1)],
    ["a key with something behind it", "3 1 0", Buffer.concat([KEY, Buffer.alloc(1)])],
    ["nothing at all", "3 1 0", Buffer.alloc(0)],
    ["what stands for a malformed record", "255 255 255", Buffer.alloc(0)],
  ])("with %s", (_, text, data) => {
    expect(usableRecords([record(text, data)])).toEqual([]);
    const good = record("3 1 1", Buffer.alloc(32, 7));
    expect(usableRecords([record(text, data), good]), "and takes nothing from another").toEqual([good]);
  });
});

describe("digest agility [RFC 7671 §9]", () => {
  const full = { "2 0 0": CERTIFICATE, "3 0 0": CERTIFICATE, "2 1 0": KEY, "3 1 0": KEY } as Record<string, Buffer>;
  const make = (text: string) => record(text, full[text] ?? (text.endsWith("1") ? SHA256 : SHA512));
  it.each<[string, string[], string[]]>([
    ["keeps the strongest digest", ["3 1 1", "3 1 2"], ["3 1 2"]],
    ["whatever the order", ["3 1 2", "3 1 1"], ["3 1 2"]],
    ["keeps all of the strongest", ["3 1 2", "3 1 1", "3 1 2"], ["3 1 2", "3 1 2"]],
    ["keeps all of the only one", ["3 1 1", "3 1 1"], ["3 1 1", "3 1 1"]],
    ["always keeps what is no digest", ["3 1 0", "3 1 1", "3 1 2"], ["3 1 0", "3 1 2"]],
    ["goes by usage", ["2 1 1", "3 1 2"], ["2 1 1", "3 1 2"]],
    ["goes by selector", ["3 0 1", "3 1 2"], ["3 0 1", "3 1 2"]],
    [
      "goes by both",
      ["2 0 1", "2 0 2", "2 1 1", "3 0 2", "3 0 1", "3 1 1", "2 0 0"],
      ["2 0 2", "2 1 1", "3 0 2", "3 1 1", "2 0 0"],
    ],
  ])("%s", (_, given, kept) => expect(numbers(usableRecords(given.map(make)))).toEqual(kept));

  it("does not count a stronger digest that cannot be used", () => {
    expect(numbers(usableRecords([make("3 1 1"), record("3 1 2", SHA256), record("3 1 9", SHA512)]))).toEqual([
      "3 1 1",
    ]);
  });
});
