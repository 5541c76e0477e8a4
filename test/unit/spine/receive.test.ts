import { describe, expect, it } from "vitest";
import type { Delivery } from "../../../src/mail/delivery.ts";
import { parseMailbox } from "../../../src/mail/mailbox.ts";
import { createReceive } from "../../../src/receive.ts";
import { type NewMessage, StoreError } from "../../../src/store/queue.ts";
import { outbound } from "../decide/policies.ts";
import { facts } from "./fixtures.ts";

interface Case {
  readonly recipients?: readonly string[];
  readonly body?: () => AsyncIterable<Buffer>;
  readonly enqueue?: () => Promise<void>;
  readonly write?: () => Promise<void>;
  readonly full?: readonly string[];
  readonly reversePath?: string | null;
}

async function* text(...chunks: string[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

function rig(given: Case) {
  const diary: string[] = [];
  const stored: NewMessage[] = [];
  const submitted: Delivery[] = [];
  const remembered: string[] = [];
  const acme = outbound({ partner: "acme", lifetimeMs: 1_000 });
  const receive = createReceive({
    clock: { now: () => 5_000, monotonic: () => 0, sleep: () => Promise.resolve(), after: () => () => undefined },
    random: { bytes: (length) => Buffer.alloc(length, 0xab), fraction: () => 0 },
    hostname: () => "relay.example.org",
    queue: {
      openSpool: (messageId) => {
        let length = 0;
        return {
          write: (chunk) => {
            length += chunk.length;
            return given.write?.() ?? Promise.resolve();
          },
          end: () => Promise.resolve({ messageId, length }),
          discard: () => Promise.resolve(void diary.push("discard")),
        };
      },
      enqueue: async (message) => {
        await given.enqueue?.();
        stored.push(message);
        diary.push("stored");
      },
    },
    policy: () => ({
      outbound: ({ domain }) => (domain === "acme.example" ? acme : outbound()),
      bounceLifetimeMs: 77,
    }),
    dispatcher: {
      reserve: (domain) =>
        given.full?.includes(domain)
          ? undefined
          : { submit: (delivery) => void submitted.push(delivery), giveBack: () => void diary.push(`back ${domain}`) },
      arrived: (domain) => void diary.push(`waits ${domain}`),
    },
    passed: () => undefined,
    remember: (id) => void remembered.push(id),
    emit: (event) => void diary.push(event),
  });
  const recipients = (given.recipients ?? ["a@acme.example"]).map((address, position) => ({
    position,
    mailbox: parseMailbox(address)!,
  }));
  const reversePath = given.reversePath === null ? null : facts.envelope.reversePath;
  const answer = receive({
    envelope: { ...facts.envelope, reversePath, recipients },
    client: facts.client,
    listener: "smarthost",
    session: "s1",
    header: Buffer.from("Message-ID: <1@example.org>\r\nFrom: Anna <anna@example.org>\r\n\r\n"),
    body: given.body?.() ?? text("hello\r\n"),
  });
  return { answer, diary, stored, submitted, remembered };
}

describe("receiving a message", () => {
  it("250 after DATA is sent only when the message is on stable storage [RFC 5321 §4.2.5]", async () => {
    const gate = Promise.withResolvers<void>();
    const { answer, diary } = rig({ enqueue: () => gate.promise });
    let answered = false;
    void answer.then(() => (answered = true));
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
    expect(answered).toBe(false);
    gate.resolve();
    expect(await answer).toEqual({ code: 250, enhancedCode: "2.0.0", text: `${"ab".repeat(16)} queued` });
    expect(diary).toEqual(["stored", "message.accepted"]);
  });
  it.each([
    ["no-space", 452, "4.3.1"],
    ["failed", 451, "4.3.0"],
  ] as const)("a store that is %s answers %i %s, and nothing is tried or kept", async (kind, code, enhancedCode) => {
    const { answer, diary, submitted, remembered } = rig({ enqueue: () => Promise.reject(new StoreError(kind, "x")) });
    expect(await answer).toMatchObject({ code, enhancedCode });
    expect(submitted).toEqual([]);
    expect(remembered).toEqual([]);
    expect(diary).toEqual(["back acme.example", "error"]);
  });
  it("a disk that fills while the body arrives leaves nothing behind", async () => {
    const { answer, diary } = rig({ write: () => Promise.reject(new StoreError("no-space", "full")) });
    expect((await answer).code).toBe(452);
    expect(diary).toEqual(["discard", "error"]);
  });
  it("content that is refused leaves nothing behind, and is told to the session", async () => {
    const refusal = new Error("refused");
    const { answer, diary } = rig({
      body: async function* () {
        yield Buffer.from("hello");
        throw refusal;
      },
    });
    await expect(answer).rejects.toBe(refusal);
    expect(diary).toEqual(["discard"]);
  });
  it("makes one delivery for each domain and partner, and tries those with a free slot at once", async () => {
    const recipients = ["a@acme.example", "x@other.example", "b@acme.example"];
    const { answer, diary, stored, submitted, remembered } = rig({ recipients, full: ["other.example"] });
    await answer;
    expect(diary).toEqual(["stored", "message.accepted", "waits other.example"]);
    expect(stored[0]?.deliveries).toMatchObject([
      { domain: "acme.example", partner: "acme", positions: [0, 2], state: "leased", expiresAt: 6_000 },
      { domain: "other.example", partner: null, positions: [1], state: "waiting", nextAttemptAt: 5_000 },
    ]);
    expect(submitted.map(({ domain }) => domain)).toEqual(["acme.example"]);
    expect(remembered.length).toBe(1);
  });
  it("mail with the null sender waits no longer than bounces do", async () => {
    const { answer, stored } = rig({ reversePath: null });
    await answer;
    expect(stored[0]?.deliveries[0]?.expiresAt).toBe(5_077);
  });
  it("does not keep a large body in memory", async () => {
    const { answer, stored, remembered } = rig({ body: () => text("x".repeat(100_000), "y".repeat(100_000)) });
    await answer;
    expect(stored[0]?.body.length).toBe(200_000);
    expect(remembered).toEqual([]);
  });
  it("puts our Received field on top and changes nothing else", async () => {
    const { answer, stored } = rig({});
    await answer;
    const lines = stored[0]!.header.toString().split("\r\n");
    expect(lines[0]).toBe("Received: from pc ([127.0.0.1])");
    expect(lines.slice(3)).toEqual(["Message-ID: <1@example.org>", "From: Anna <anna@example.org>", "", ""]);
    expect(stored[0]?.facts).toMatchObject({
      messageId: "<1@example.org>",
      fromDomain: "example.org",
      size: stored[0]!.header.length + 7,
    });
  });
});
