import { describe, expect, it } from "vitest";
import { DkimSigningError } from "../../../src/transform/dkim/sign.ts";
import { type Keyring, keyringOf } from "../../../src/transform/keyring.ts";
import { signOwnMessage } from "../../../src/transform/own-message.ts";
import { dkimSigner } from "../../../src/transform/dkim/key.ts";
import { newKey } from "./dkim-keys.ts";

const own = { hostname: "relay.own.test", isClientAddress: () => false };
const keyring = keyringOf(own, [{ domain: "own.test", dkim: [newKey("ed25519-sha256", "own.test")], smime: [] }]);
const times = { now: Date.UTC(2026, 10, 24), expiresAt: Date.UTC(2026, 10, 26) };
const written = (from: string) => ({
  header: Buffer.from(`From: <MAILER-DAEMON@${from}>\r\nSubject: x\r\n\r\n`),
  body: Buffer.from("x\r\n"),
});

describe("what the gateway itself writes", () => {
  it("is signed in the name of the domain that its host name is in, and x= outlives its wait by two days", async () => {
    const { header, dkim, failure } = await signOwnMessage(written("relay.own.test"), keyring, times);
    expect(dkim).toEqual({ signatures: [{ domain: "own.test", selector: "s2026", algorithm: "ed25519-sha256" }] });
    expect(header.toString().replace(/\r\n\s+/g, " ")).toMatch(new RegExp(`x=${times.expiresAt / 1000 + 2 * 86_400};`));
    expect(failure).toBeUndefined();
  });

  it("goes unsigned where the host name is in no domain of ours", async () => {
    const message = written("relay.elsewhere.test");
    const { header, dkim } = await signOwnMessage(message, keyring, times);
    expect(header).toEqual(message.header);
    expect(dkim.unsigned).toBe("the From address is not in one of our domains");
  });

  it("goes unsigned where its key fails, and the caller is told", async () => {
    const { publicKey } = dkimSigner(newKey("ed25519-sha256"));
    const broken: Keyring = {
      ...keyring,
      dkim: new Map([...keyring.dkim].map(([name, keys]) => [name, keys.map((key) => ({ ...key, publicKey }))])),
    };
    const message = written("own.test");
    const { header, dkim, failure } = await signOwnMessage(message, broken, times);
    expect([header, dkim.signatures]).toEqual([message.header, []]);
    expect(failure).toBeInstanceOf(DkimSigningError);
  });
});
