/** Signing that fails inside the gateway, with the real store: the client keeps the mail, and nothing stays here. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { OutboundPolicy } from "../../src/decide/policy.ts";
import { parseMailbox } from "../../src/mail/mailbox.ts";
import type { SmtpReply } from "../../src/mail/smtp-reply.ts";
import { createReceive } from "../../src/receive.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import type { EmbeddedStore } from "../../src/store/sqlite-queue.ts";
import type { DkimKey } from "../../src/transform/dkim/key.ts";
import { type Keyring, keyringOf } from "../../src/transform/keyring.ts";
import { createMessageIds } from "../../src/transform/message-ids.ts";
import { treat } from "../../src/transform/treat.ts";
import { type SqliteStore, sqliteStore } from "../contract/sqlite-store.ts";
import { outbound } from "../unit/decide/policies.ts";
import { facts } from "../unit/spine/fixtures.ts";
import { newKey } from "../unit/transform/dkim-keys.ts";
import { person } from "./treatment-rig.ts";

let store: SqliteStore;
let queue: EmbeddedStore;
beforeEach(async () => {
  store = await sqliteStore();
  queue = await store.open();
});
afterEach(async () => {
  await queue.close();
  await store.destroy();
});

const anna = person("anna@example.org");
const own = { hostname: "relay.example.org", isClientAddress: () => false };
const whole = keyringOf(own, [
  {
    domain: "example.org",
    dkim: [newKey("rsa-sha256"), newKey("ed25519-sha256", "example.org", "ed")],
    smime: [{ address: "anna@example.org", certificate: anna.pem, chain: [], key: anna.keyPem }],
  },
]);

/** The first key is replaced in part. */
const withDkim = (change: (key: DkimKey) => Partial<DkimKey>): Keyring => ({
  ...whole,
  dkim: new Map([...whole.dkim].map(([name, keys]) => [name, keys.map((key) => ({ ...key, ...change(key) }))])),
});
const withSigner = (privateKey: KeyObject): Keyring => ({
  ...whole,
  signerFor: (author, now) => {
    const signer = whole.signerFor(author, now);
    return signer && { ...signer, privateKey };
  },
});
const signs: OutboundPolicy = outbound({
  treatment: {
    headers: { received: "strip", remove: [], messageId: "keep" },
    smime: { sign: "always", encrypt: "never", format: "detached", tripleWrap: false },
    dkim: "sign",
  },
});
const plain: OutboundPolicy = {
  ...signs,
  treatment: { ...signs.treatment, smime: { ...signs.treatment.smime, sign: "never" } },
};

async function* body(): AsyncGenerator<Buffer> {
  for (let count = 0; count < 40; count += 1) yield Buffer.from("0123456789abcdef\r\n".repeat(1000));
}

async function receive(keyring: () => Keyring): Promise<{ reply: SmtpReply | Error; events: readonly string[] }> {
  const events: string[] = [];
  const run = createReceive({
    clock: systemClock,
    random: systemRandom,
    hostname: () => "relay.example.org",
    queue,
    policy: () => ({
      outbound: ({ domain }) => (domain === "plain.test" ? plain : signs),
      ruled: () => ({ treatment: (_, policy) => policy }),
      rules: [],
      bounceLifetimeMs: 1000,
      delayNoticesMs: [],
    }),
    treat: (message) =>
      treat(
        {
          random: systemRandom.bytes,
          keyring,
          messageIds: () => createMessageIds(Buffer.alloc(32), "relay.example.org"),
          certificatesFor: () => Promise.resolve({ kind: "none", why: "No certificate is known" }),
          txt: () => Promise.resolve([]),
        },
        message,
      ),
    dispatcher: { reserve: () => undefined, arrived: () => undefined },
    passed: () => undefined,
    remember: () => undefined,
    emit: (event) => void events.push(event),
  });
  const mailboxes = ["olga@plain.test", "bert@acme.test"].map((address) => parseMailbox(address)!);
  const envelope = {
    ...facts.envelope,
    reversePath: parseMailbox("anna@example.org")!,
    recipients: mailboxes.map((mailbox, position) => ({ position, mailbox })),
  };
  const header = Buffer.from("From: anna@example.org\r\nSubject: x\r\n\r\n");
  const transaction = { envelope, client: facts.client, listener: "smarthost", session: "s1", header, body: body() };
  const reply = await run(transaction).catch((error: unknown) => error as Error);
  return { reply, events };
}

async function left(): Promise<{ files: number; rows: number }> {
  const database = new DatabaseSync(join(store.settings.dataDir, "queue.db"), { timeout: 5_000 });
  try {
    const row = database.prepare("SELECT (SELECT count(*) FROM message) + (SELECT count(*) FROM delivery) AS n").get();
    const files = await readdir(join(store.settings.dataDir, "bodies")).catch(() => []);
    return { files: files.length, rows: Number(row?.["n"]) };
  } finally {
    database.close();
  }
}

describe("a signature that cannot be made", () => {
  it("is not the rule: with whole keys the message is stored", async () => {
    expect((await receive(() => whole)).reply).toMatchObject({ code: 250 });
    expect((await left()).rows).toBe(3);
  });

  it.each([
    [
      "whose private key is another's",
      () => withDkim(() => ({ privateKey: generateKeyPairSync("ed25519").privateKey })),
    ],
    ["whose public key is another's", () => withDkim(() => ({ publicKey: generateKeyPairSync("ed25519").publicKey }))],
    ["that is none", () => withDkim(({ publicKey }) => ({ privateKey: publicKey }))],
  ])("by a DKIM key %s: 451, an error in the log, and nothing stored, never a silent pass", async (_, keyring) => {
    const broken = keyring();
    const { reply, events } = await receive(() => broken);
    expect(reply).toMatchObject({ code: 451, enhancedCode: "4.3.0" });
    expect(events).toEqual(["error"]);
    expect(await left()).toEqual({ files: 0, rows: 0 });
  });

  it.each([
    ["that signs no more", () => withSigner(anna.x509.publicKey)],
    ["of a kind that cannot sign", () => withSigner(generateKeyPairSync("x25519").privateKey)],
  ])("by an S/MIME key %s: 451, an error in the log, and nothing stored", async (_, keyring) => {
    const broken = keyring();
    const { reply, events } = await receive(() => broken);
    expect(reply).toMatchObject({ code: 451, enhancedCode: "4.3.0" });
    expect(events).toEqual(["error"]);
    expect(await left()).toEqual({ files: 0, rows: 0 });
  });

  it("since the keys themselves cannot be had: it is no reply of ours, and nothing is stored", async () => {
    const { reply } = await receive(() => {
      throw new TypeError("no keyring");
    });
    expect(reply).toBeInstanceOf(TypeError);
    expect(await left()).toEqual({ files: 0, rows: 0 });
  });
});
