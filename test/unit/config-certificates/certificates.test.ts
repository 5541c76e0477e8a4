import { rootCertificates } from "node:tls";
import { describe, expect, it } from "vitest";
import {
  checkBundle,
  checkKeyPair,
  checkRevocationList,
  isPublicCa,
  trustSet,
} from "../../../src/config/certificates.ts";
import { createAuthority, selfSigned } from "../../peers/certificates.ts";

const NOW = Date.now();
const DAY = 86_400_000;
const root = createAuthority("Root");
const middle = root.intermediate("Middle");
const relay = middle.issue({ names: ["Relay.example.org", "relay"] });
const other = middle.issue({ names: ["other.example.org"] });
const encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";

function flaw(answer: object): string {
  expect(answer).toHaveProperty("remedy");
  return (answer as { message: string }).message;
}

describe("a key pair", () => {
  it("answers with the names of the first certificate, in lower case, and its end", () => {
    const pair = checkKeyPair(relay.chain, relay.key, NOW);
    expect(pair).toMatchObject({ names: ["relay.example.org", "relay"] });
    expect((pair as { notAfter: number }).notAfter).toBeGreaterThan(NOW + 29 * DAY);
  });

  it("may have no names, as certificates of clients do", () => {
    const client = root.issue({ commonName: "gateway", client: true });
    expect(checkKeyPair(client.certificate, client.key, NOW)).toMatchObject({ names: [] });
  });

  it("has no name that an entry with odd characters only quotes", () => {
    const { certificate, key } = root.issue({ names: ["a.example", "x, DNS:evil.example, DNS:y", "b.example"] });
    expect(checkKeyPair(certificate, key, NOW)).toMatchObject({ names: ["a.example", "b.example"] });
  });

  it("may be followed by the whole chain, its root included, with comments between", () => {
    const file = `# own\n${relay.chain}\n# root\n${root.certificate}`;
    expect(checkKeyPair(file, relay.key, NOW)).not.toHaveProperty("message");
  });

  it.each([
    ["a key of another certificate", relay.certificate, other.key, "belong together"],
    ["a chain written upside down", middle.certificate + relay.certificate, relay.key, "belong together"],
    ["a stray certificate behind it", relay.chain + other.certificate, relay.key, "no chain"],
    ["an empty certificate file", "", relay.key, "no certificate in PEM form"],
    ["an empty key file", relay.certificate, "", "no private key in PEM form"],
    ["the two files swapped", relay.key, relay.certificate, "holds no certificate, but: private key"],
    ["an encrypted key", relay.certificate, encrypted, "encrypted"],
    ["a cut certificate", relay.certificate.slice(0, 200), relay.key, "no certificate in PEM form"],
    ["a damaged certificate", relay.certificate.replace(/\n.{20}/, "\nAAAA"), relay.key, "cannot be read"],
    ["a damaged key", relay.certificate, relay.key.replace(/\n.{20}/, "\nAAAA"), "cannot be read"],
  ])("is refused with a remedy: %s", (_, certificate, key, message) => {
    expect(flaw(checkKeyPair(certificate, key, NOW))).toContain(message);
  });

  it("is refused after its last day, and before its first [RFC 5280 §4.1.2.5]", () => {
    const { certificate, key } = root.issue({ names: ["a.example"], notAfter: new Date(NOW + DAY) });
    expect(checkKeyPair(certificate, key, NOW)).not.toHaveProperty("message");
    expect(flaw(checkKeyPair(certificate, key, NOW + 2 * DAY))).toContain("ended on");
    expect(flaw(checkKeyPair(certificate, key, NOW - 9 * DAY))).toContain("begins on");
  });

  it("never repeats key material in what it says", () => {
    const broken = relay.key.replace(/\n.{20}/, "\nAAAA");
    const body = relay.key.split("\n")[2] ?? "no key";
    expect(JSON.stringify(checkKeyPair(relay.certificate, broken, NOW))).not.toContain(body.slice(0, 12));
  });
});

describe("a CA bundle", () => {
  it("gives each certificate as PEM of its own, in order", () => {
    const bundle = checkBundle(`company CAs\r\n${root.certificate}\n${middle.certificate}`);
    expect(bundle).toEqual({ certificates: [root.certificate, middle.certificate] });
  });

  it("names the entry that cannot be read", () => {
    const damaged = middle.certificate.replace(/\n.{20}/, "\nAAAA");
    expect(flaw(checkBundle(root.certificate + damaged))).toContain("certificate 2 of 2");
  });

  it.each([
    ["empty", "", "no certificate in PEM form"],
    ["DER", "\x30\x82\x01\x0a", "no certificate in PEM form"],
    ["a key", relay.key, "but: private key"],
  ])("is refused when it is %s", (_, pem, message) => expect(flaw(checkBundle(pem))).toContain(message));
});

describe("a revocation list", () => {
  const list = root.revocationList([root.issue({ names: ["gone.example"] })]);

  it("is taken, also several in one file", () => {
    expect(checkRevocationList(list + list)).toEqual({ lists: [list, list] });
  });

  it.each([
    ["a certificate", root.certificate, "but: certificate"],
    ["damaged", list.replace(/\n.{20}/, "\nAAAA"), "cannot be read"],
  ])("is refused when it is %s", (_, pem, message) => expect(flaw(checkRevocationList(pem))).toContain(message));
});

describe("a trust set", () => {
  it("is called system only when it is the bare store of the machine", () => {
    expect(trustSet("system", []).id).toBe("system");
    expect(trustSet("system", [root.revocationList([])]).id).not.toBe("system");
  });

  it("has the same id for the same certificates, whatever their order, files and line ends", () => {
    const one = trustSet([root.certificate, middle.certificate], []);
    const same = trustSet([`\r\n${middle.certificate.replaceAll("\n", "\r\n")}${root.certificate}`], []);
    expect(same.id).toBe(one.id);
    expect(one.id).toMatch(/^[0-9a-f]{64}$/);
  });

  it("has another id with another certificate or a revocation list", () => {
    const list = root.revocationList([]);
    const sets = [
      trustSet([root.certificate], []),
      trustSet([middle.certificate], []),
      trustSet([root.certificate, middle.certificate], []),
      trustSet([root.certificate], [list]),
      trustSet("system", [list]),
    ];
    expect(new Set(sets.map(({ id }) => id)).size).toBe(sets.length);
  });
});

describe("a public CA", () => {
  it("is any root that Node ships, also inside a bundle", () => {
    expect(isPublicCa(rootCertificates[3] ?? "")).toBe(true);
    expect(isPublicCa(root.certificate + (rootCertificates[4] ?? ""))).toBe(true);
  });

  it("is not a company's own, its intermediate, or no certificate at all", () => {
    expect(isPublicCa(root.certificate)).toBe(false);
    expect(isPublicCa(middle.chain)).toBe(false);
    expect(isPublicCa(selfSigned({ names: ["a.example"] }).certificate)).toBe(false);
    expect(isPublicCa("")).toBe(false);
  });
});
