import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { describe, expect, it } from "vitest";
import { dnsNames, readCertificate } from "../../../src/mail/certificate.ts";
import { type Anchors, readEvidence } from "../../../src/verify/evidence.ts";
import { createAuthority, type Issued, selfSigned } from "../../peers/certificates.ts";

const ca = createAuthority("Acme CA");
const anchored: Anchors = { trustId: "acme", sha256: new Set([ca.sha256]) };

interface Handshake {
  readonly sent?: readonly Issued[];
  readonly error?: string;
  /** What Node finds above the sent certificates in its own store. */
  readonly store?: Issued;
  readonly servername?: string | false;
  readonly group?: object | null;
}

/** As much of a TLSSocket as evidence is read from. */
function socket({ sent = [], error, store, servername = false, group = null }: Handshake): TLSSocket {
  const chain = sent.map(({ certificate }) => new X509Certificate(certificate));
  chain.forEach((certificate, index) =>
    Object.defineProperty(certificate, "issuerCertificate", { value: chain[index + 1] }),
  );
  let drained = false;
  const shown = {
    authorized: error === undefined,
    authorizationError: error === "as an Error" ? Object.assign(new Error("x"), { code: "CERT_REVOKED" }) : error,
    servername,
    getProtocol: () => "TLSv1.3",
    getCipher: () => ({ standardName: "TLS_AES_128_GCM_SHA256" }),
    getEphemeralKeyInfo: () => group,
    getPeerX509Certificate: () => {
      drained = true;
      return chain[0];
    },
    getPeerCertificate: () => (drained ? {} : detailed([...sent, ...(store ? [store] : [])])),
  };
  return shown as unknown as TLSSocket;
}

/** As getPeerCertificate(true) shows them: the last one, a root, is its own issuer. */
function detailed([first, ...above]: readonly Issued[]): object {
  if (first === undefined) return {};
  const entry: { raw: Buffer; issuerCertificate?: object } = { raw: new X509Certificate(first.certificate).raw };
  entry.issuerCertificate = above.length > 0 ? detailed(above) : entry;
  return entry;
}

describe("what a handshake showed", () => {
  const server = ca.issue({ names: ["mx.acme.example"] });

  it("is the chain as sent, with version, suite, group and SNI", () => {
    const shown = readEvidence(
      socket({ sent: [server, ca], servername: "mx.acme.example", group: { type: "ECDH", name: "X25519" } }),
      anchored,
    );
    expect(shown).toMatchObject({
      version: "TLSv1.3",
      cipher: "TLS_AES_128_GCM_SHA256",
      group: "X25519",
      sni: "mx.acme.example",
      trustId: "acme",
      chain: [{ sha256: server.sha256 }, { sha256: ca.sha256 }],
    });
    expect(shown).not.toHaveProperty("chainError");
  });

  it.each<[string, Handshake]>([
    ["no group is told", { group: null }],
    ["the group has no name", { group: { type: "DH", size: 2048 } }],
    ["no SNI was sent", { servername: false }],
    ["the SNI is empty", { servername: "" }],
  ])("leaves out what is not known: %s", (_, handshake) => {
    const shown = readEvidence(socket(handshake), anchored);
    expect(shown).not.toHaveProperty("group");
    expect(shown).not.toHaveProperty("sni");
  });

  it("has an empty chain when the peer showed no certificate", () => {
    expect(readEvidence(socket({}), anchored).chain).toEqual([]);
  });

  it.each<[string, Handshake, string]>([
    ["is Node's code", { sent: [server], error: "UNABLE_TO_GET_ISSUER_CERT" }, "UNABLE_TO_GET_ISSUER_CERT"],
    [
      "does not stand for dates when no certificate can be read",
      { error: "CERT_HAS_EXPIRED" },
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    ],
    ["is an error's code", { sent: [server], error: "as an Error" }, "CERT_REVOKED"],
    [
      "stands for dates when the anchor was sent",
      { sent: [server, ca], error: "CERT_HAS_EXPIRED" },
      "CERT_HAS_EXPIRED",
    ],
    [
      "stands for dates when the anchor is in our store",
      { sent: [server], store: ca, error: "CERT_NOT_YET_VALID" },
      "CERT_NOT_YET_VALID",
    ],
    [
      "an expired certificate of a stranger was taken for one of ours",
      { sent: [selfSigned({ names: ["mx.acme.example"] })], error: "CERT_HAS_EXPIRED" },
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    ],
  ])("the chain error %s", (_, handshake, expected) => {
    expect(readEvidence(socket(handshake), anchored).chainError).toBe(expected);
  });
});

describe("a certificate", () => {
  it.each([
    ["ec", "ec", 256],
    ["rsa", "rsa", 2048],
  ] as const)("is read with names, dates, key and digests: %s", (keyType, type, bits) => {
    const notAfter = new Date("2030-01-02T03:04:05Z");
    const issued = ca.issue({ names: ["mx.acme.example", "*.acme.example"], keyType, notAfter });
    expect(readCertificate(new X509Certificate(issued.certificate))).toMatchObject({
      subject: "CN=mx.acme.example",
      issuer: "CN=Acme CA",
      names: ["mx.acme.example", "*.acme.example"],
      notAfter: notAfter.getTime(),
      keyType: type,
      keyBits: bits,
      sha256: issued.sha256,
      spkiSha256: issued.spkiSha256,
    });
  });

  it("without names has none", () => {
    expect(readCertificate(new X509Certificate(ca.certificate)).names).toEqual([]);
  });

  it("whose key Node cannot read has no key and no pin", () => {
    const certificate = new X509Certificate(ca.certificate);
    Object.defineProperty(certificate, "publicKey", {
      get: () => {
        throw new Error("unsupported");
      },
    });
    const read = readCertificate(certificate);
    expect(read).toMatchObject({ keyType: "unknown", spkiSha256: "" });
    expect(read).not.toHaveProperty("keyBits");
  });

  it("whose key has no details has no bits", () => {
    const certificate = new X509Certificate(ca.certificate);
    Object.defineProperty(certificate, "publicKey", {
      value: { asymmetricKeyType: "ed448", export: () => Buffer.of(1) },
    });
    expect(readCertificate(certificate)).not.toHaveProperty("keyBits");
  });
});

it.each([
  ["several names", "DNS:a.example, DNS:*.b.example", ["a.example", "*.b.example"]],
  ["other kinds are passed over", "IP Address:192.0.2.1, DNS:a.example, email:x@y.example", ["a.example"]],
  [
    "a quoted entry that pretends to be two [CVE-2021-44532]",
    'DNS:"evil.example, DNS:a.example", DNS:b.example',
    ["b.example"],
  ],
  ["a quoted entry with escapes", String.raw`URI:"http://x/\"\u002c DNS:a.example", DNS:b.example`, ["b.example"]],
  ["nothing", "", []],
])("subjectAltName: %s", (_, text, names) => expect(dnsNames(text)).toEqual(names));
