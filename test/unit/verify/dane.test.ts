import { createHash, createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import { describe, expect, it } from "vitest";
import { readCertificate } from "../../../src/mail/certificate.ts";
import type { TlsaRecord } from "../../../src/mail/published.ts";
import { checkDane } from "../../../src/verify/dane.ts";
import { type Authority, createAuthority, type Issued, selfSigned, type Subject } from "../../peers/certificates.ts";

const DAY_MS = 86_400_000;
const NOW = Date.now();
const names = ["mx.acme.example"];
const past = { notBefore: new Date(NOW - 9 * DAY_MS), notAfter: new Date(NOW - DAY_MS) };
const future = { notBefore: new Date(NOW + DAY_MS) };

const root = createAuthority("Acme root");
const below = root.intermediate("Acme issuing");
const server = below.issue({ names });

const der = ({ certificate }: Pick<Issued, "certificate">) => new X509Certificate(certificate).raw;
const spki = ({ certificate }: Pick<Issued, "certificate">) =>
  new X509Certificate(certificate).publicKey.export({ type: "spki", format: "der" });

/** `3 1 1` of a certificate, as `tlsa` commands print it. */
function tlsa(numbers: string, of: Pick<Issued, "certificate">): TlsaRecord {
  const [usage, selector, matchingType] = numbers.split(" ").map(Number) as [number, number, number];
  const selected = selector === 0 ? der(of) : spki(of);
  const hash = matchingType === 1 ? "sha256" : "sha512";
  const data = matchingType === 0 ? selected : createHash(hash).update(selected).digest();
  return { usage, selector, matchingType, data };
}

function judged(sent: readonly Pick<Issued, "certificate">[], ...records: TlsaRecord[]): string {
  const chain = sent.map(({ certificate }) => readCertificate(new X509Certificate(certificate)));
  const result = checkDane(chain, { records, names }, NOW);
  return "failure" in result ? result.failure : `${result.by}: ${result.matched}`;
}

describe("DANE-EE(3)", () => {
  const own = selfSigned({ names });
  const neither = selfSigned({ names: ["other.example"], ...past });
  it.each(["3 0 0", "3 0 1", "3 0 2", "3 1 0", "3 1 1", "3 1 2"])("%s matches the certificate shown", (numbers) =>
    expect(judged([own], tlsa(numbers, own))).toBe(`dane-ee: TLSA ${numbers}`),
  );
  it("ignores names and dates [RFC 7671 §5.1]", () =>
    expect(judged([neither], tlsa("3 1 1", neither))).toBe("dane-ee: TLSA 3 1 1"));
  it("matches a renewed certificate with the same key by its key alone", () => {
    const renewed = selfSigned({ names, key: own.key });
    expect(judged([renewed], tlsa("3 1 1", own))).toBe("dane-ee: TLSA 3 1 1");
    expect(judged([renewed], tlsa("3 0 1", own))).toBe("tlsa-invalid");
  });
  it.each([
    ["of another certificate", [own], tlsa("3 1 1", neither)],
    ["of an issuer, not of the server [RFC 6698 §2.1.1]", [server, below], tlsa("3 1 1", below)],
    ["with a digest of the other selector", [own], { ...tlsa("3 0 1", own), selector: 1 }],
    ["with a digest cut short", [own], { ...tlsa("3 1 1", own), data: tlsa("3 1 1", own).data.subarray(0, 31) }],
    ["with the certificate cut short", [own], { ...tlsa("3 0 0", own), data: der(own).subarray(1) }],
  ])("does not match a record %s", (_, sent, record) => expect(judged(sent, record)).toBe("tlsa-invalid"));
});

describe("DANE-TA(2)", () => {
  const named = (numbers: string) => `dane-ta: mx.acme.example, TLSA ${numbers}`;
  const kinds = ["2 0 0", "2 0 1", "2 0 2", "2 1 0", "2 1 1", "2 1 2"];
  it.each(kinds)("%s of a root that was sent", (numbers) =>
    expect(judged([server, below, root], tlsa(numbers, root))).toBe(named(numbers)),
  );
  it.each(kinds)("%s of an intermediate that was sent, the root was not", (numbers) =>
    expect(judged([server, below], tlsa(numbers, below))).toBe(named(numbers)),
  );
  it.each(["2 0 0", "2 1 0"])("%s of an anchor absent from the chain [RFC 7671 §5.2.3]", (numbers) => {
    expect(judged([server, below], tlsa(numbers, root))).toBe(named(numbers));
    expect(judged([server], tlsa(numbers, below))).toBe(named(numbers));
  });
  it.each(["2 0 1", "2 1 1"])("%s of an anchor absent from the chain cannot be found", (numbers) =>
    expect(judged([server, below], tlsa(numbers, root))).toBe("tlsa-invalid"),
  );
  it("whatever the order in which the chain was sent [RFC 8446 §4.4.2]", () =>
    expect(judged([server, root, below], tlsa("2 0 1", root))).toBe(named("2 0 1")));
  it("beside a certificate that has nothing to do with it", () =>
    expect(judged([server, createAuthority("Other"), below], tlsa("2 1 1", below))).toBe(named("2 1 1")));
  it("never the server's own certificate: it is no authority", () => {
    const own = selfSigned({ names });
    expect(judged([own], tlsa("2 1 1", own))).toBe("tlsa-invalid");
    expect(judged([own, own], tlsa("2 0 1", own))).toBe("tlsa-invalid");
  });

  const made = (subject: Subject, authority: Authority = below) => [authority.issue({ names, ...subject }), authority];
  /** Issuer and key identifier are right, the last octet of the signature is not. */
  const forged = (): Issued[] => {
    const octets = der(server);
    octets.writeUInt8((octets.at(-1) ?? 0) ^ 1, octets.length - 1);
    return [{ ...server, certificate: pem(octets) }, below];
  };
  it.each<[string, Issued[], string]>([
    ["another host name", made({ names: ["other.example"] }), "certificate-host-mismatch"],
    [
      "no name at all, though the common name is right",
      made({ names: [], commonName: "mx.acme.example" }),
      "certificate-host-mismatch",
    ],
    ["an expired leaf", made(past), "certificate-expired"],
    ["a leaf of tomorrow", made(future), "certificate-expired"],
    [
      "expired, and another name: the date comes first",
      made({ ...past, names: ["other.example"] }),
      "certificate-expired",
    ],
    ["a signature that does not verify", forged(), "tlsa-invalid"],
    ["a leaf for clients only [RFC 5280 §4.2.1.12]", made({ client: true }), "tlsa-invalid"],
    ["a signature over SHA-1", made({ hash: "sha1" }), "tlsa-invalid"],
    [
      "a critical extension that is unknown [RFC 5280 §4.2]",
      made({ extra: { id: "1.3.6.1.4.1.99999.1", value: Buffer.of(5, 0), critical: true } }),
      "tlsa-invalid",
    ],
    [
      "an unknown extension that is not critical",
      made({ extra: { id: "1.3.6.1.4.1.99999.1", value: Buffer.of(5, 0), critical: false } }),
      named("2 1 1"),
    ],
  ])("with %s", (_, sent, expected) => expect(judged(sent, tlsa("2 1 1", below))).toBe(expected));

  const through = (subject: Subject) => root.intermediate("Middle", subject).intermediate("Last");
  it.each<[string, Authority, string]>([
    ["an intermediate that has expired", through(past), "certificate-expired"],
    ["an intermediate of tomorrow", through(future), "certificate-expired"],
    ["pathLenConstraint 1 over one issuer [RFC 5280 §4.2.1.9]", through({ pathLength: 1 }), named("2 0 1")],
    ["pathLenConstraint 0 over one issuer", through({ pathLength: 0 }), "tlsa-invalid"],
    [
      "name constraints, which are not understood here",
      through({ extra: { id: "2.5.29.30", value: Buffer.of(0x30, 0), critical: false } }),
      "tlsa-invalid",
    ],
  ])("through %s", (_, last, expected) => {
    const leaf = last.issue({ names });
    const chain = [leaf, ...pems(leaf.chain).slice(1), root];
    expect(judged(chain, tlsa("2 0 1", root))).toBe(expected);
    expect(judged(chain.slice(0, -1), tlsa("2 1 0", root))).toBe(expected.replace("2 0 1", "2 1 0"));
  });
  it("with a leaf that issues certificates though it is no authority [RFC 5280 §4.2.1.9]", () => {
    const leaf = below.issue({ names: ["evil.example"] });
    const forged = createAuthority("evil.example", { key: leaf.key }).issue({ names });
    expect(judged([forged, leaf, below], tlsa("2 1 1", below))).toBe("tlsa-invalid");
  });
  it("through a certificate that signs certificates and does not say it is an authority [RFC 5280 §4.2.1.9]", () => {
    const disguised = root.intermediate("Disguised", { disguised: true });
    expect(judged([disguised.issue({ names }), disguised, root], tlsa("2 0 1", root))).toBe("tlsa-invalid");
  });
  it("through a certificate with the issuer's key and another name [RFC 5280 §6.1.3]", () => {
    const renamed = createAuthority("Renamed", { key: below.key });
    expect(judged([server, renamed], tlsa("2 0 1", renamed))).toBe("tlsa-invalid");
  });
  it("with an anchor that has expired", () => {
    const old = createAuthority("Old", past);
    expect(judged([old.issue({ names }), old], tlsa("2 1 1", old))).toBe("certificate-expired");
  });
  it("never counts a key too small to trust", () => {
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 1024 });
    const small = createAuthority("Small", { key: privateKey.export({ type: "pkcs8", format: "pem" }) as string });
    expect(judged([small.issue({ names }), small], tlsa("2 1 1", small))).toBe("tlsa-invalid");
  });
  it("with a key of another kind in the record", () => {
    const { publicKey } = generateKeyPairSync("ed25519");
    const data = createPublicKey(publicKey.export({ type: "spki", format: "pem" })).export({
      type: "spki",
      format: "der",
    });
    expect(judged([server, below], { usage: 2, selector: 1, matchingType: 0, data })).toBe("tlsa-invalid");
  });
  it.each([
    ["certificate", 0],
    ["key", 1],
  ])("with a %s in the record that cannot be read", (_, selector) =>
    expect(judged([server, below], { usage: 2, selector, matchingType: 0, data: Buffer.of(1) })).toBe("tlsa-invalid"),
  );
  it("looks at a bounded number of certificates", () => {
    const many = Array.from({ length: 20 }, () => root);
    expect(judged([server, ...many, below], tlsa("2 1 1", below))).toBe("tlsa-invalid");
  });
});

describe("several records", () => {
  const old = tlsa("3 1 1", selfSigned({ names }));
  it("any one of them suffices, as at a roll-over [RFC 7671 §8.1]", () => {
    expect(judged([server, below], old, tlsa("3 1 1", server))).toBe("dane-ee: TLSA 3 1 1");
    expect(judged([server, below], tlsa("3 1 1", server), old)).toBe("dane-ee: TLSA 3 1 1");
    expect(judged([server, below], old, tlsa("2 1 1", below))).toBe("dane-ta: mx.acme.example, TLSA 2 1 1");
  });
  it("none of them is none", () =>
    expect(judged([server, below], old, tlsa("2 1 1", createAuthority("X")))).toBe("tlsa-invalid"));
});

it("a server that showed no certificate, or none that can be read, has proven nothing", () => {
  expect(judged([], tlsa("3 1 1", server))).toBe("certificate-not-trusted");
  const unreadable = { ...readCertificate(new X509Certificate(server.certificate)), der: Buffer.of() };
  expect(checkDane([unreadable], { records: [tlsa("3 1 1", server)], names }, NOW)).toHaveProperty("failure");
});

it("nothing of the server's certificate counts beside its chain to the record: the real issuer signed it, another is published", () =>
  expect(judged([server, below, root], tlsa("2 1 1", createAuthority("Acme issuing")))).toBe("tlsa-invalid"));

function pem(octets: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${octets.toString("base64").replace(/.{64}/g, "$&\n")}\n-----END CERTIFICATE-----\n`;
}

function pems(chain: string): Pick<Issued, "certificate">[] {
  const end = "-----END CERTIFICATE-----\n";
  return chain
    .split(end)
    .slice(0, -1)
    .map((certificate) => ({ certificate: certificate + end }));
}
