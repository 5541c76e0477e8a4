import { describe, expect, it } from "vitest";
import { parseMailbox } from "../../../src/mail/mailbox.ts";
import type { SmimeSignerSettings } from "../../../src/mail/treatment.ts";
import { DkimKeyError } from "../../../src/transform/dkim/key.ts";
import { keyringOf, type OwnKeys } from "../../../src/transform/keyring.ts";
import { SmimeSignerError } from "../../../src/transform/smime/signed-data.ts";
import { days, type Person, selfSignedPerson } from "../../peers/mail-authority.ts";
import { newKey } from "./dkim-keys.ts";

const own = { hostname: "relay.own.test", isClientAddress: () => false };
const now = Date.now();
const signer = (commonName: string, address?: string, over: Person = {}): SmimeSignerSettings => {
  const { pem, keyPem } = selfSignedPerson({ commonName, ...over });
  return { certificate: pem, chain: [], key: keyPem, ...(address !== undefined && { address }) };
};
const keys = (domain: string, smime: readonly SmimeSignerSettings[]): OwnKeys => ({ domain, dkim: [], smime });

describe("whose certificate signs", () => {
  const keyring = keyringOf(own, [
    keys("own.test", [
      signer("gateway"),
      signer("anna", "anna@own.test"),
      signer("ended", "old@own.test", { notBefore: days(-9), notAfter: days(-1) }),
      signer("next", "next@own.test", { notBefore: days(1) }),
    ]),
    keys("sub.own.test", [signer("zoe", "zoe@sub.own.test")]),
    keys("bare.test", []),
  ]);
  const named = (address: string, at = now): string | undefined =>
    keyring.signerFor(parseMailbox(address)!, at)?.certificate.subject;

  it.each([
    ["its own", "anna@own.test", "CN=anna"],
    ["the same, whatever case the domain is written in", "anna@OWN.test", "CN=anna"],
    ["the gateway's, where it has none", "bob@own.test", "CN=gateway"],
    ["the gateway's, where its own has ended", "old@own.test", "CN=gateway"],
    ["the gateway's, where its own has not begun", "next@own.test", "CN=gateway"],
    ["the gateway's of the domain above, where its own is none of ours", "bob@it.own.test", "CN=gateway"],
    ["that of the nearest of our domains", "zoe@sub.own.test", "CN=zoe"],
    ["nobody's, where the nearest has none for it", "bob@sub.own.test", undefined],
    ["nobody's, where the domain has no keys", "bob@bare.test", undefined],
    ["nobody's of another domain", "anna@other.test", undefined],
    ["nobody's for an address literal", "anna@[127.0.0.1]", undefined],
  ])("%s: %s", (_, address, subject) => expect(named(address)).toBe(subject));

  it("changes at the instant when one begins, and when it ends", () => {
    const begins = days(1).getTime();
    expect([named("next@own.test", begins - 60_000), named("next@own.test", begins + 60_000)]).toEqual([
      "CN=gateway",
      "CN=next",
    ]);
  });
});

it("a TLS-only alias is a name of ours: what it sends is no mail that only passes through", () => {
  const { own: side, domains } = keyringOf(own, [{ ...keys("own.test", []), tlsOnlyAlias: "secure-own.test" }]);
  expect([side.domains, [...domains]]).toEqual([
    ["own.test", "secure-own.test"],
    ["own.test", "secure-own.test"],
  ]);
});

describe("settings that cannot sign", () => {
  it("are an error for a DKIM key of another algorithm", () => {
    const dkim = [{ ...newKey("ed25519-sha256", "own.test"), algorithm: "rsa-sha256" as const }];
    expect(() => keyringOf(own, [{ domain: "own.test", dkim, smime: [] }])).toThrow(DkimKeyError);
  });
  it("are an error for a key that is not the certificate's", () => {
    const mixed = { ...signer("anna"), key: signer("bert").key };
    expect(() => keyringOf(own, [keys("own.test", [mixed])])).toThrow(SmimeSignerError);
  });
});
