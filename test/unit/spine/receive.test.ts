import { describe, expect, it } from "vitest";
import type { Delivery } from "../../../src/mail/delivery.ts";
import { formatMailbox, parseMailbox } from "../../../src/mail/mailbox.ts";
import { reply, type SmtpReply } from "../../../src/mail/smtp-reply.ts";
import { UNTOUCHED } from "../../../src/mail/treatment.ts";
import type { Rule } from "../../../src/decide/policy.ts";
import { applyRules } from "../../../src/decide/rules.ts";
import { createReceive } from "../../../src/receive.ts";
import { type NewMessage, StoreError } from "../../../src/store/queue.ts";
import { DkimSigningError } from "../../../src/transform/dkim/sign.ts";
import type { Content } from "../../../src/transform/finish.ts";
import type { Incoming, Treating } from "../../../src/transform/treat.ts";
import { origin, outbound, policy } from "../decide/policies.ts";
import { facts } from "./fixtures.ts";

/** 5,000 ms since 1970, then what the generator gives. */
const QUEUE_ID = `000000001388${"ab".repeat(10)}`;

interface Case {
  rules?: readonly Rule[];
  readonly recipients?: readonly string[];
  readonly body?: () => AsyncIterable<Buffer>;
  readonly enqueue?: () => Promise<void>;
  readonly write?: () => Promise<void>;
  readonly full?: readonly string[];
  /** Addresses at acme.example that belong to the partner "joint". */
  readonly joint?: readonly string[];
  /** Closed, by lane. */
  readonly closed?: readonly string[];
  readonly delayNoticesMs?: readonly number[];
  readonly fields?: readonly string[];
  readonly reversePath?: string | null;
  readonly treat?: (message: Incoming) => Promise<Treating | SmtpReply>;
}

/** One content for all, as it came. */
function leftAlone({ header, addressees }: Incoming): Treating {
  const seal = (size: number) => Promise.resolve({ header, treated: { size: header.length + size } });
  return {
    passed: () => undefined,
    finish: () => Promise.resolve([{ positions: addressees.map(({ recipient }) => recipient.position), seal }]),
  };
}

async function* text(...chunks: string[]): AsyncGenerator<Buffer> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

function rig(given: Case) {
  const diary: string[] = [];
  const stored: NewMessage[] = [];
  const submitted: Delivery[] = [];
  const remembered: number[] = [];
  const treated: Incoming[] = [];
  const acme = outbound({ partner: "acme", lifetimeMs: 1_000 });
  const receive = createReceive({
    clock: { now: () => 5_000, monotonic: () => 0, sleep: () => Promise.resolve(), after: () => () => undefined },
    random: { bytes: (length) => Buffer.alloc(length, 0xab), fraction: () => 0 },
    hostname: () => "relay.example.org",
    queue: {
      reread: () => Promise.reject(new Error("a small body is not read back")),
      openSpool: (messageId, part = 0) => {
        let length = 0;
        return {
          write: (chunk) => {
            length += chunk.length;
            return given.write?.() ?? Promise.resolve();
          },
          end: () => Promise.resolve({ messageId, part, length }),
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
      outbound: (mailbox) =>
        given.joint?.includes(formatMailbox(mailbox))
          ? { ...acme, partner: "joint" }
          : mailbox.domain === "acme.example"
            ? acme
            : outbound(),
      ruled: (message) => applyRules(policy({ rules: given.rules ?? [] }), message),
      rules: given.rules ?? [],
      bounceLifetimeMs: 77,
      delayNoticesMs: given.delayNoticesMs ?? [],
    }),
    treat: (message) => {
      treated.push(message);
      return given.treat?.(message) ?? Promise.resolve(leftAlone(message));
    },
    dispatcher: {
      reserve: (domain) =>
        given.closed?.includes(domain) === true
          ? { waits: { at: 9_000, reason: "connection-failed" } }
          : given.full?.includes(domain)
            ? undefined
            : {
                submit: (delivery) => void submitted.push(delivery),
                giveBack: () => void diary.push(`back ${domain}`),
              },
      arrived: (domain, until) => void diary.push(`waits ${domain}${until === undefined ? "" : ` until ${until.at}`}`),
    },
    passed: () => undefined,
    remember: (_, content) => void remembered.push(content),
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
    header: Buffer.from(
      ["Message-ID: <1@example.org>", "From: Anna <anna@example.org>", ...(given.fields ?? []), "", ""].join("\r\n"),
    ),
    body: given.body?.() ?? text("hello\r\n"),
  });
  return { answer, diary, stored, submitted, remembered, treated };
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
    expect(await answer).toEqual({ code: 250, enhancedCode: "2.0.0", text: `${QUEUE_ID} queued` });
    expect(diary).toEqual(["stored", "message.accepted", "discard"]);
  });
  it.each([
    ["no-space", 452, "4.3.1"],
    ["failed", 451, "4.3.0"],
  ] as const)("a store that is %s answers %i %s, and nothing is tried or kept", async (kind, code, enhancedCode) => {
    const { answer, diary, submitted, remembered } = rig({ enqueue: () => Promise.reject(new StoreError(kind, "x")) });
    expect(await answer).toMatchObject({ code, enhancedCode });
    expect(submitted).toEqual([]);
    expect(remembered).toEqual([]);
    expect(diary).toEqual(["back acme.example", "error", "discard"]);
  });
  it("a disk that fills while the body arrives leaves nothing behind", async () => {
    const { answer, diary } = rig({ write: () => Promise.reject(new StoreError("no-space", "full")) });
    expect((await answer).code).toBe(452);
    expect(diary).toEqual(["error", "discard"]);
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
    expect(diary).toEqual(["stored", "message.accepted", "waits other.example", "discard"]);
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
  it("is stored as waiting where the destination is closed: until it opens, with the reason", async () => {
    const { answer, diary, stored, submitted } = rig({ closed: ["acme.example"] });
    await answer;
    expect(stored[0]?.deliveries).toMatchObject([
      { state: "waiting", nextAttemptAt: 9_000, reason: "connection-failed" },
    ]);
    expect(submitted).toEqual([]);
    expect(diary).toContain("waits acme.example until 9000");
  });
  it.each<[string, Partial<Case>, number | undefined]>([
    ["at the first step, counted from when it came", { delayNoticesMs: [400, 800] }, 5_400],
    ["never where its time has passed by then", { delayNoticesMs: [1_000] }, undefined],
    ["never without a sender", { delayNoticesMs: [10], reversePath: null }, undefined],
    ["never where none is wanted", {}, undefined],
  ])("its sender is told that it waits %s", async (_, given, noticeAt) => {
    const { answer, stored } = rig(given);
    await answer;
    expect(stored[0]?.deliveries[0]?.noticeAt).toBe(noticeAt);
  });
  it("does not keep a large body in memory", async () => {
    const { answer, stored, remembered } = rig({ body: () => text("x".repeat(100_000), "y".repeat(100_000)) });
    await answer;
    expect(stored[0]?.contents[0]?.body.length).toBe(200_000);
    expect(remembered).toEqual([]);
  });
  it("hands over what the treatment needs, and stores what it made", async () => {
    const { answer, stored, treated } = rig({ recipients: ["a@acme.example", "x@other.example"] });
    await answer;
    expect(treated[0]).toMatchObject({
      reversePath: facts.envelope.reversePath,
      addressees: [{ treatment: UNTOUCHED }, { treatment: UNTOUCHED }],
      hop: { hostname: "relay.example.org", queueId: QUEUE_ID, at: 5_000, smtpUtf8: false },
      expiresAt: 5_000 + 432_000_000,
    });
    const { header } = treated[0]!;
    expect(stored[0]?.contents).toMatchObject([{ header, body: { part: 0 } }]);
    expect(stored[0]?.facts).toMatchObject({
      messageId: "<1@example.org>",
      fromDomain: "example.org",
      size: header.length + 7,
      contents: [{ size: header.length + 7 }],
    });
  });
  it("stores one body for contents that leave it as it came, and one of its own for each new one", async () => {
    const made = (name: string, positions: number[], ...body: string[]): Content => ({
      positions,
      ...(body.length > 0 && { body: text(...body) }),
      seal: (size) => Promise.resolve({ header: Buffer.from(`${name}\r\n\r\n`), treated: { size } }),
    });
    const finish = () => Promise.resolve([made("a", [0]), made("b", [1]), made("c", [2], "sealed", " body")]);
    const { answer, stored, submitted, remembered } = rig({
      recipients: ["a@acme.example", "b@acme.example", "c@acme.example"],
      treat: () => Promise.resolve({ passed: () => undefined, finish }),
    });
    expect((await answer).code).toBe(250);
    const [message] = stored;
    expect(message?.contents.map(({ header, body }) => [header.toString()[0], body.part, body.length])).toEqual([
      ["a", 0, 7],
      ["b", 0, 7],
      ["c", 1, 11],
    ]);
    expect(message?.contents[0]?.body).toBe(message?.contents[1]?.body);
    expect(message?.deliveries.map(({ content, positions }) => [content, positions])).toEqual([
      [0, [0]],
      [1, [1]],
      [2, [2]],
    ]);
    expect(message?.facts.contents).toEqual([
      { size: 7, positions: [0] },
      { size: 7, positions: [1] },
      { size: 11, positions: [2] },
    ]);
    expect(submitted.map(({ content }) => content)).toEqual([0, 1, 2]);
    expect(remembered).toEqual([0, 1, 2]);
  });
  const refusal = reply(550, "7.5", "no certificate");
  it("a message that cannot be treated as demanded is refused before its body is taken", async () => {
    const { answer, diary } = rig({ treat: () => Promise.resolve(refusal) });
    expect(await answer).toBe(refusal);
    expect(diary).toEqual([]);
  });
  it("one that its body shows to be refused leaves nothing behind", async () => {
    const treating = { passed: () => undefined, finish: () => Promise.resolve(refusal) };
    const { answer, diary } = rig({ treat: () => Promise.resolve(treating) });
    expect(await answer).toBe(refusal);
    expect(diary).toEqual(["discard"]);
  });
  it("a signature that fails answers 451, is told as an error, and leaves nothing behind: never a silent pass", async () => {
    const seal = () => Promise.reject(new DkimSigningError("no"));
    const treating = { passed: () => undefined, finish: () => Promise.resolve([{ positions: [0], seal }]) };
    const { answer, diary, stored } = rig({ treat: () => Promise.resolve(treating) });
    expect(await answer).toMatchObject({ code: 451, enhancedCode: "4.3.0" });
    expect(diary).toEqual(["error", "discard"]);
    expect(stored).toEqual([]);
  });
});

describe("a message that rules match", () => {
  const rule = (name: string, when: Rule["when"], effects: Rule["effects"]): Rule => ({ name, when, effects, origin });
  const tls = { tls: { level: "authenticated" } } as const;

  it("is refused as a whole where one recipient of several matches, and the log is told by which rule", async () => {
    const { answer, diary, treated } = rig({
      rules: [rule("rivals", { recipient: ["*@other.example"] }, { refuse: "Not to them" })],
      recipients: ["a@acme.example", "x@other.example"],
    });
    expect(await answer).toEqual({ code: 550, enhancedCode: "5.7.1", text: "Not to them", rule: "rivals" });
    expect([diary, treated]).toEqual([[], []]);
  });
  it("is stored with its demands, and those that demand different things are tried apart", async () => {
    const { answer, stored, submitted } = rig({
      rules: [rule("board", { recipient: ["a@*", "b@*"] }, tls), rule("all", { subject: ["[tls]*"] }, tls)],
      recipients: ["a@acme.example", "x@acme.example", "b@acme.example"],
      fields: ["Subject: [tls] x", "TLS-Required: No"],
    });
    await answer;
    expect(stored[0]?.facts.demands).toEqual({
      tlsRequiredNo: true,
      rules: [
        { name: "board", positions: [0, 2], ...tls },
        { name: "all", ...tls },
      ],
    });
    expect(stored[0]?.deliveries.map(({ positions }) => positions)).toEqual([[0, 2], [1]]);
    expect(submitted.map(({ message }) => message.demands)).toEqual([
      stored[0]?.facts.demands,
      stored[0]?.facts.demands,
    ]);
  });
  it("waits in a lane of its own where a rule sends it another way", async () => {
    const hop = { kind: "host", host: "mx.away.example", port: 25, implicitTls: false } as const;
    const { answer, diary } = rig({
      rules: [rule("away", { recipient: ["a@*"] }, { nextHop: [hop] })],
      recipients: ["a@acme.example", "b@acme.example"],
      full: ["acme.example via [mx.away.example]:25"],
    });
    await answer;
    expect(diary).toContain("waits acme.example via [mx.away.example]:25");
    expect(diary).not.toContain("waits acme.example");
  });
  it("waits in a lane of its own where its address has another partner than its domain", async () => {
    const { answer, submitted } = rig({
      recipients: ["a@acme.example", "j@acme.example"],
      joint: ["j@acme.example"],
    });
    await answer;
    expect(submitted.map(({ lane, recipients }) => [lane, recipients.map(({ position }) => position)])).toEqual([
      [undefined, [0]],
      ["acme.example for joint", [1]],
    ]);
  });
  it("is treated as the rules say, recipient by recipient", async () => {
    const { answer, treated } = rig({
      rules: [rule("secret", { recipient: ["a@*"] }, { smime: { encrypt: "always" } })],
      recipients: ["a@acme.example", "b@acme.example"],
    });
    await answer;
    expect(treated[0]?.addressees.map(({ treatment }) => treatment.smime.encrypt)).toEqual(["always", "never"]);
  });
});
