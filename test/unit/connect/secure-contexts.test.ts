import { describe, expect, it } from "vitest";
import { createSecureContexts, type TlsParameters } from "../../../src/connect/secure-contexts.ts";
import { sourceAddressFor } from "../../../src/connect/tcp.ts";
import { createAuthority } from "../../peers/certificates.ts";
import { profile, trusting } from "../../peers/outgoing.ts";

const ca = createAuthority("Acme CA");
const other = createAuthority("Other CA");
const client = ca.issue({ names: ["relay.test"], client: true });
const parameters: TlsParameters = { trust: trusting([ca]), minVersion: "TLSv1.2", profile };

describe("TLS contexts", () => {
  it("are made once for equal parameters, in whatever object they come", () => {
    const contexts = createSecureContexts();
    const first = contexts.prepare(parameters);
    expect(contexts.prepare({ ...parameters, servername: "other.test" })).toBe(first);
  });

  it.each<[string, Partial<TlsParameters>]>([
    ["other authorities", { trust: trusting([other]) }],
    ["revocation lists", { trust: trusting([ca], [ca.revocationList([])]) }],
    ["a least version", { minVersion: "TLSv1.3" }],
    ["a profile", { profile: { ...profile, groups: "P-384" } }],
    ["a client certificate", { clientCertificate: { certificate: client.chain, key: client.key } }],
  ])("are never shared between different parameters: %s", (_, bent) => {
    const contexts = createSecureContexts();
    expect(contexts.prepare({ ...parameters, ...bent })).not.toBe(contexts.prepare(parameters));
    expect(contexts.keyOf({ ...parameters, ...bent })).not.toBe(contexts.keyOf(parameters));
  });

  it("are bounded: the one unused for longest goes", () => {
    const contexts = createSecureContexts();
    const numbered = (id: number): TlsParameters => ({ ...parameters, profile: { ...profile, name: `p${id}` } });
    const kept = contexts.prepare(numbered(0));
    const dropped = contexts.prepare(numbered(1));
    for (let id = 2; id <= 200; id += 1) {
      contexts.prepare(numbered(id));
      expect(contexts.prepare(numbered(0))).toBe(kept);
    }
    expect(contexts.prepare(numbered(1))).not.toBe(dropped);
  });

  it("name the authorities in them", () => {
    const { anchors } = createSecureContexts().prepare({ ...parameters, trust: trusting([ca, other]) });
    expect(anchors).toMatchObject({ trustId: trusting([ca, other]).id, sha256: new Set([ca.sha256, other.sha256]) });
  });

  it("tell no key in their key", () => {
    const withKey = { ...parameters, clientCertificate: { certificate: client.chain, key: client.key } };
    expect(createSecureContexts().keyOf(withKey)).toMatch(/^[0-9a-f]{64}$/);
  });

  it("with a key that belongs to another certificate are refused", () => {
    const wrong = { ...parameters, clientCertificate: { certificate: client.chain, key: other.key } };
    expect(() => createSecureContexts().prepare(wrong)).toThrow();
  });
});

it.each([
  ["192.0.2.1", ["198.51.100.1", "2001:db8::1"], "198.51.100.1"],
  ["2001:db8::2", ["198.51.100.1", "2001:db8::1"], "2001:db8::1"],
  ["192.0.2.1", ["2001:db8::1"], undefined],
  ["192.0.2.1", [], undefined],
])("%s is reached from the source address of its family", (address, sources, expected) => {
  expect(sourceAddressFor(address, sources)).toBe(expected);
});
