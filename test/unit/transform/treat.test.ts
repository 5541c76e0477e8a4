import { beforeAll, describe, expect, it } from "vitest";
import { formatMailbox, type Mailbox, parseMailbox } from "../../../src/mail/mailbox.ts";
import type { SmimePolicy, Treatment } from "../../../src/mail/treatment.ts";
import type { SmtpReply } from "../../../src/mail/smtp-reply.ts";
import type { Content } from "../../../src/transform/finish.ts";
import { type Keyring, keyringOf } from "../../../src/transform/keyring.ts";
import { createMessageIds, type MessageIds } from "../../../src/transform/message-ids.ts";
import type { Found } from "../../../src/transform/plan.ts";
import { type Candidate, readCandidate } from "../../../src/transform/smime/candidate.ts";
import { treat, type Treating } from "../../../src/transform/treat.ts";
import { type Held, type Person, selfSignedPerson, USAGE } from "../../peers/mail-authority.ts";
import { bodyHashOf, newKey } from "./dkim-keys.ts";

const now = Date.now();
const own = { hostname: "relay.own.test", isClientAddress: () => false };
const HEADER = "From: anna@own.test\r\nTo: bert@acme.test\r\nX-Mailer: x\r\nSubject: x\r\n";
const MiB = 1024 * 1024;
const BODY = Buffer.from("0123456789abcdef\r\n".repeat(20_000));

let anna: Held;
let bert: Held;
let bare: Keyring;
let full: Keyring;
beforeAll(() => {
  anna = selfSignedPerson({ commonName: "anna", emails: ["anna@own.test"] });
  bert = selfSignedPerson({ commonName: "bert", emails: ["bert@acme.test"] });
  const signer = { address: "anna@own.test", certificate: anna.pem, chain: [], key: anna.keyPem };
  bare = keyringOf(own, [{ domain: "own.test", dkim: [], smime: [] }]);
  full = keyringOf(own, [{ domain: "own.test", dkim: [newKey("ed25519-sha256", "own.test")], smime: [signer] }]);
});

const treatment = (smime: Partial<SmimePolicy> = {}, over: Partial<Treatment> = {}): Treatment => ({
  headers: { received: "strip", remove: ["x-mailer"], messageId: "keep" },
  smime: { sign: "never", encrypt: "never", format: "detached", tripleWrap: false, ...smime },
  dkim: "sign",
  ...over,
});

interface Case {
  readonly keyring?: Keyring;
  readonly header?: string;
  readonly to?: readonly (readonly [string, Treatment])[];
  readonly certificates?: (mailbox: Mailbox) => Found<Candidate>;
  /** Octets of body that arrive besides. */
  readonly more?: number;
  readonly messageIds?: MessageIds;
}

const outerIds = createMessageIds(Buffer.alloc(32), "relay.own.test");

/** Treats one message as receive.ts does, and counts what is asked for. */
async function run({
  keyring = bare,
  header = HEADER,
  to = [["bert@acme.test", treatment()]],
  certificates,
  more = 0,
  messageIds = outerIds,
}: Case) {
  const asked = { certificates: [] as string[], dns: [] as string[], reads: 0 };
  const treating: Treating | SmtpReply = await treat(
    {
      random: (length) => Buffer.alloc(length, 7),
      keyring: () => keyring,
      messageIds: () => messageIds,
      certificatesFor: (mailbox) => {
        asked.certificates.push(formatMailbox(mailbox));
        return Promise.resolve(certificates?.(mailbox) ?? { kind: "none", why: "No certificate is known" });
      },
      txt: (name) => {
        asked.dns.push(name);
        return Promise.resolve([]);
      },
    },
    {
      header: Buffer.from(`${header}\r\n`),
      reversePath: parseMailbox("anna@own.test") ?? null,
      addressees: to.map(([address, one], position) => ({
        recipient: { position, mailbox: parseMailbox(address)! },
        treatment: one,
      })),
      hop: {
        client: { address: "10.0.0.1", port: 1, helo: "pc", via: "network" },
        hostname: "relay.own.test",
        queueId: "q",
        at: now,
        smtpUtf8: false,
      },
      expiresAt: now + 1000,
    },
  );
  if ("code" in treating) return { reply: treating, asked };
  for (const chunk of reused()) treating.passed(chunk);
  for (let left = more; left > 0; left -= MiB) treating.passed(Buffer.alloc(MiB));
  const made = await treating.finish(async function* () {
    asked.reads += 1;
    yield* reused();
  });
  if ("code" in made) return { reply: made, asked };
  const contents: { header: string; body: Buffer | undefined; of: Content; size: number }[] = [];
  for (const of of made) {
    const chunks: Buffer[] = [];
    if (of.body !== undefined) for await (const chunk of of.body) chunks.push(Buffer.from(chunk));
    const body = of.body && Buffer.concat(chunks);
    const sealed = await of.seal(body?.length ?? BODY.length);
    contents.push({ header: sealed.header.toString("latin1"), body, of, size: sealed.treated.size });
  }
  return { contents, asked };
}

/** One piece of memory, used again for each chunk, as sockets and spools may do. */
function* reused(): Generator<Buffer> {
  const memory = Buffer.alloc(7_001);
  for (let at = 0; at < BODY.length; at += memory.length) {
    const length = BODY.copy(memory, 0, at, at + memory.length);
    yield memory.subarray(0, length);
    memory.fill(0);
  }
}

const found = (held: Held): Found<Candidate> => ({ kind: "found", certificates: [readCandidate(held.der)!] });

describe("treating one message", () => {
  it("reads the body never again where only its header changes, though DKIM signs it", async () => {
    const { contents, asked } = await run({ keyring: full });
    expect(asked).toEqual({ certificates: [], dns: [], reads: 0 });
    expect(contents?.map(({ body, header }) => [body, /DKIM-Signature/.test(header), /X-Mailer/.test(header)])).toEqual(
      [[undefined, true, false]],
    );
  });

  it("asks for certificates of those only who may be written to encrypted", async () => {
    const { asked } = await run({
      to: [
        ["olga@other.test", treatment()],
        ["bert@acme.test", treatment({ encrypt: "if-known" })],
      ],
    });
    expect(asked.certificates).toEqual(["bert@acme.test"]);
  });

  it("says the size of what is sent, and for whom", async () => {
    const { contents } = await run({
      keyring: full,
      to: [
        ["olga@other.test", treatment()],
        ["bert@acme.test", treatment({ sign: "always", encrypt: "always" })],
      ],
      certificates: () => found(bert),
    });
    expect(contents?.map(({ of }) => of.positions)).toEqual([[0], [1]]);
    for (const { header, body, size } of contents ?? []) expect(size).toBe(header.length + (body ?? BODY).length);
  });

  it("shares what it finds out of foreign signatures between contents: the body is verified once", async () => {
    const foreign = "DKIM-Signature: v=1; a=rsa-sha256; d=x.test; s=s; h=from; bh=eA==; b=eA==\r\n";
    const { asked, contents } = await run({
      header: foreign + HEADER,
      to: [
        ["olga@other.test", treatment()],
        ["bert@acme.test", treatment({}, { headers: { received: "keep", remove: [], messageId: "keep" } })],
      ],
    });
    expect(contents?.length).toBe(2);
    expect(asked.reads).toBeLessThanOrEqual(1);
  });

  it.each([
    ["large", 60, "550 5.5.3"],
    ["small", 0, undefined],
  ])("to be encrypted for many blind copies asks how large its body is: %s", async (_, mebibytes, refused) => {
    const blind = Array.from(
      { length: 21 },
      (__, at) => [`b${at}@acme.test`, treatment({ encrypt: "always" })] as const,
    );
    const { reply, contents, asked } = await run({ to: blind, certificates: () => found(bert), more: mebibytes * MiB });
    expect(reply && `${reply.code} ${reply.enhancedCode}`).toBe(refused);
    expect(contents?.length).toBe(refused === undefined ? 21 : undefined);
    if (refused !== undefined) expect(asked.reads).toBe(0);
  });

  it("edits the header once for all contents of one header policy, however many they are", async () => {
    const headers = { received: "strip", remove: ["x-mailer"], messageId: "rewrite" } as const;
    const blind = (at: number) => [`b${at}@acme.test`, treatment({ encrypt: "always" }, { headers })] as const;
    let mapped = 0;
    const outward = (id: string): string => {
      mapped += 1;
      return outerIds.outward(id);
    };
    const { contents } = await run({
      header: `Message-ID: <a@pc.own.test>\r\n${HEADER}`,
      to: [
        blind(0),
        blind(1),
        blind(2),
        ["olga@acme.test", treatment({}, { headers })],
        ["kept@acme.test", treatment({}, { headers: { ...headers, messageId: "keep" } })],
      ],
      certificates: () => found(bert),
      messageIds: { ...outerIds, outward },
    });
    const hasInnerId = contents?.map(({ header }) => header.includes("<a@pc.own.test>"));
    expect(hasInnerId).toEqual([false, false, false, false, true]);
    expect(mapped).toBe(2); // once for those with a new body, once for whom it stays as it came
  });

  it("never looks into foreign signatures where S/MIME breaks them anyway", async () => {
    const foreign = "DKIM-Signature: v=1; a=rsa-sha256; d=x.test; s=s; h=from:x-mailer; bh=eA==; b=eA==\r\n";
    const to = [["bert@acme.test", treatment({ sign: "always" })]] as const;
    const { asked, contents } = await run({ keyring: full, header: foreign + HEADER, to });
    expect(asked.dns).toEqual([]);
    expect(contents?.[0]?.header).not.toContain("X-Mailer");
  });
});

describe("the body hash of a DKIM signature [RFC 6376 §3.7]", () => {
  const signs = treatment({ sign: "always" });
  const encrypts = treatment({ encrypt: "always" });
  const claims = "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n";
  it.each([
    ["as it came", HEADER, [treatment()]],
    ["signed", HEADER, [signs]],
    ["encrypted for one, as it came for another", HEADER, [encrypts, treatment()]],
    ["signed although its header calls it encrypted", HEADER + claims, [signs]],
    ["as it came although its header calls it encrypted", HEADER + claims, [treatment()]],
  ])("is that of the body that is sent: %s", async (_, header, treatments) => {
    const to = treatments.map((one, index) => [`bert${index}@acme.test`, one] as const);
    const { contents } = await run({ keyring: full, header, to, certificates: () => found(bert) });
    expect(contents?.length).toBe(to.length);
    for (const { header: sent, body } of contents ?? []) {
      const hash = /bh=([^;]+);/.exec(sent)?.[1]?.replace(/\s/g, "");
      expect(hash).toBe(bodyHashOf(body ?? BODY).toString("base64"));
    }
  });
});

describe("a certificate that no mail could be encrypted with", () => {
  const unfit: Person = {
    commonName: "bert",
    emails: ["bert@acme.test"],
    keyType: "ed25519",
    usage: [USAGE.digitalSignature],
  };
  it.each([
    ["always", "550 5.7.5"],
    ["if-known", undefined],
  ] as const)("counts as none at %s", async (encrypt, refused) => {
    const held = selfSignedPerson(unfit);
    const to = [["bert@acme.test", treatment({ encrypt })]] as const;
    const { reply, contents } = await run({ to, certificates: () => found(held) });
    expect(reply && `${reply.code} ${reply.enhancedCode}`).toBe(refused);
    expect(contents?.[0]?.body).toBeUndefined();
    if (reply !== undefined) expect(reply.text).toContain("the certificate of bert@acme.test");
  });
});
