import { Readable } from "node:stream";
import { describe, expect, it } from "vitest";
import type { LadderStep, Rule } from "../../../src/decide/policy.ts";
import { createFallback, type FallbackDeps } from "../../../src/fallback.ts";
import { type FallbackContent, fallbackMessage } from "../../../src/fallback-message.ts";
import type { Delivery, MessageFacts } from "../../../src/mail/delivery.ts";
import { formatMailbox } from "../../../src/mail/mailbox.ts";
import { reply } from "../../../src/mail/smtp-reply.ts";
import type { SmimeTreated } from "../../../src/mail/treatment.ts";
import { type Spool, StoreError } from "../../../src/store/queue.ts";
import type { Found } from "../../../src/transform/plan.ts";
import type { Incoming } from "../../../src/transform/treat.ts";
import { createMailAuthority, EMAIL_PROTECTION, USAGE } from "../../peers/mail-authority.ts";
import { type Candidate, readCandidate } from "../../../src/transform/smime/candidate.ts";
import { origin, outbound } from "../decide/policies.ts";
import { delivery, facts } from "./fixtures.ts";

const NOW = 50_000;
const step: LadderStep & { kind: "smime" } = { kind: "smime", approvedBy: "boss@example.org", lifetimeMs: 9_000 };
const ID = "ab".repeat(16);
const encrypted: SmimeTreated = { signed: false, encrypted: true };
const onStep = (over: Partial<Delivery> = {}, rules: readonly Rule[] = []) => ({
  delivery: delivery(over),
  outbound: outbound({ partner: "acme", onExpiry: [step] }),
  step,
  rules,
});

describe("the message that the S/MIME step stores", () => {
  const content = (positions: readonly number[], smime: SmimeTreated = encrypted): FallbackContent => ({
    positions,
    header: Buffer.from("Subject: x\r\n\r\n"),
    body: { messageId: ID, part: positions[0] ?? 0, length: 9 },
    treated: { size: 23, sevenBit: true, smime },
  });
  const of = (
    over: Partial<Delivery> = {},
    contents = [content([0, 1])],
    isSealed = false,
    rules: readonly Rule[] = [],
  ) =>
    fallbackMessage(onStep(over, rules), {
      id: ID,
      recipients: delivery(over).recipients,
      contents,
      isSealed,
      now: NOW,
      expiresAt: NOW + 9_000,
      delayNoticesMs: [10_000, 55_000],
    });

  it("says of which it was made and who approved it, waits at once, for the step's lifetime, apart from its domain", () => {
    const message = of();
    expect(message.facts).toMatchObject({
      id: ID,
      receivedAt: facts.receivedAt,
      fallback: { of: facts.id, approvedBy: "boss@example.org" },
    });
    expect(message.deliveries).toEqual([
      {
        id: `${ID}-0`,
        domain: "acme.example",
        lane: "acme.example at encrypt",
        partner: "acme",
        positions: [0, 1],
        content: 0,
        state: "waiting",
        nextAttemptAt: NOW,
        expiresAt: NOW + 9_000,
        noticeAt: 55_000,
      },
    ]);
  });

  it("counts its recipients anew, and the rules with them", () => {
    const two = [0, 1].map((position) => ({ ...facts.envelope.recipients[position]!, position: position + 4 }));
    const rules = [
      { name: "all", tls: { level: "authenticated" as const } },
      { name: "second", positions: [5, 9] },
      { name: "others", positions: [1] },
    ];
    const message = of({ recipients: two, message: { ...facts, demands: { alias: true, rules } } });
    const { recipients } = message.facts.envelope;
    expect(recipients.map(({ position, mailbox }) => [position, formatMailbox(mailbox)])).toEqual([
      [0, "a@acme.example"],
      [1, "b@acme.example"],
    ]);
    expect(message.facts.demands).toEqual({
      alias: true,
      rules: [rules[0], { name: "second", positions: [1] }],
    });
  });

  it("keeps what its envelope demands", () => {
    const mail = { body: "8BITMIME", smtpUtf8: true, requireTls: true, envid: "x" } as const;
    const message = of({ message: { ...facts, envelope: { ...facts.envelope, mail } } });
    expect(message.facts.envelope.mail).toEqual(mail);
  });

  it("has a delivery for each content, and each says whose it is", () => {
    const message = of({}, [content([0]), content([1])]);
    expect(message.deliveries.map(({ id, positions, content: which }) => [id, positions, which])).toEqual([
      [`${ID}-0`, [0], 0],
      [`${ID}-1`, [1], 1],
    ]);
    expect(message.facts.contents.map(({ positions }) => positions)).toEqual([[0], [1]]);
  });

  it("remembers that delay notices had gone out", () => {
    expect(of({ course: { delayNotices: 1 } }).facts.fallback).toMatchObject({ delayNotices: 1 });
  });

  it("goes where a rule sends it", () => {
    const nextHop = [{ kind: "host", host: "rule.example", port: 25, implicitTls: false }] as const;
    const rule: Rule = { name: "away", when: {}, effects: { nextHop }, origin };
    const message = of({ message: { ...facts, demands: { rules: [{ name: "away" }] } } }, undefined, false, [rule]);
    expect(message.deliveries[0]?.lane).toBe("acme.example via [rule.example]:25 at encrypt");
  });

  it("that is not encrypted is never stored", () => {
    expect(() => of({}, [content([0]), content([1], { signed: true, encrypted: false })])).toThrow(TypeError);
  });

  it.each<[string, MessageFacts["contents"][number], boolean, unknown]>([
    [
      "signed by us before",
      { size: 1, smime: { signed: true, encrypted: false, signer: "CN=Anna" } },
      false,
      {
        size: 23,
        sevenBit: true,
        smime: { signer: "CN=Anna", signed: false, encrypted: true },
      },
    ],
    [
      "encrypted by us before",
      { size: 1, kept: ["List-Id"], smime: { signed: true, encrypted: true, recipients: 2 } },
      true,
      {
        size: 23,
        kept: ["List-Id"],
        smime: { signed: true, encrypted: true, recipients: 2 },
      },
    ],
    [
      "encrypted by its user, which nobody wanted to know then",
      { size: 1 },
      true,
      {
        size: 23,
        smime: { signed: false, encrypted: true, notes: ["already-encrypted"] },
      },
    ],
  ])("tells what was done to a content %s", (_, before, isSealed, told) => {
    const message = of({ message: { ...facts, contents: [before] } }, undefined, isSealed);
    expect(message.facts.contents).toEqual([told]);
  });
});

const authority = createMailAuthority("Root");
const { der } = authority.issue({
  commonName: "a",
  emails: ["a@acme.example"],
  usage: [USAGE.keyAgreement],
  purposes: [EMAIL_PROTECTION],
});
const certificate = readCandidate(der)!;

describe("encrypting what waited in vain", () => {
  function rig(over: {
    readonly found?: Readonly<Record<string, Found<Candidate>>>;
    readonly treat?: FallbackDeps["treat"];
    readonly header?: () => Promise<Buffer>;
    readonly write?: () => Promise<void>;
    readonly smime?: SmimeTreated;
  }) {
    const discarded: number[] = [];
    const errors: string[] = [];
    const treated: Incoming[] = [];
    const asked: string[] = [];
    const found: Found<Candidate> = { kind: "found", certificates: [certificate] };
    const encrypt = createFallback({
      clock: { now: () => NOW },
      random: { bytes: (length) => Buffer.alloc(length, 0xab), fraction: () => 0 },
      hostname: () => "relay.example.org",
      queue: {
        header: over.header ?? (() => Promise.resolve(Buffer.from("Subject: x\r\n\r\n"))),
        body: () => Promise.resolve(Readable.from([Buffer.from("hello\r\n")])),
        openSpool: (messageId, part = 0): Spool => ({
          write: over.write ?? (() => Promise.resolve()),
          end: () => Promise.resolve({ messageId, part, length: 7 }),
          discard: () => Promise.resolve(void discarded.push(part)),
        }),
      },
      certificatesFor: ({ localPart }) => {
        asked.push(localPart);
        return Promise.resolve(over.found?.[localPart] ?? found);
      },
      treat: (incoming, certificatesFor) => {
        treated.push(incoming);
        if (over.treat !== undefined) return over.treat(incoming, certificatesFor);
        return Promise.resolve({
          passed: () => undefined,
          finish: () =>
            Promise.resolve([
              {
                positions: incoming.addressees.map(({ recipient }) => recipient.position),
                body: Readable.from([Buffer.from("sealed")]),
                seal: () => Promise.resolve({ header: Buffer.from("\r\n"), treated: { size: 9, smime: encrypted } }),
              },
            ]),
        });
      },
      delayNoticesMs: () => [],
      passed: () => undefined,
      emit: (_, fields) => void errors.push("kind" in fields ? fields.kind : ""),
    });
    const contents = [{ size: 20, ...(over.smime && { smime: over.smime }) }];
    const run = () => encrypt(onStep({ message: { ...facts, contents } }));
    return { run, discarded, errors, treated, asked };
  }
  const none: Found<Candidate> = { kind: "none", why: "none is known" };
  const unknown: Found<Candidate> = { kind: "unknown", why: "the directory is out" };

  it("makes one message for all to whom it can be done", async () => {
    const { run, treated, discarded } = rig({});
    const { made, unknown: later } = await run();
    expect(made?.positions).toEqual([0, 1]);
    expect(later).toEqual([]);
    expect(treated[0]).toMatchObject({ isEdited: true, expiresAt: NOW + step.lifetimeMs });
    expect(treated[0]?.addressees.map(({ treatment }) => treatment.smime.encrypt)).toEqual(["always", "always"]);
    expect(discarded).toEqual([]);
    await made?.discard();
    expect(discarded).toEqual([0]);
  });

  it.each([
    ["leaves out whose certificate is not known", { a: none }, [1], []],
    ["and of whom nobody can tell now, who may be tried later", { b: unknown }, [0], [1]],
    ["makes none where it can be done to nobody", { a: none, b: unknown }, undefined, [1]],
    [
      "nor with certificates that nothing can be encrypted for",
      { a: { kind: "found", certificates: [] }, b: none } as const,
      undefined,
      [],
    ],
  ])("%s", async (_, found, positions, later) => {
    const { run } = rig({ found });
    const encryptions = await run();
    expect(encryptions.made?.positions).toEqual(positions);
    expect(encryptions.unknown).toEqual(later);
  });

  it("asks for no certificates of what is encrypted already, and leaves its octets", async () => {
    const { run, treated, asked } = rig({
      smime: encrypted,
      treat: (incoming) =>
        Promise.resolve({
          passed: () => undefined,
          finish: () =>
            Promise.resolve([
              {
                positions: incoming.addressees.map(({ recipient }) => recipient.position),
                seal: (length: number) => Promise.resolve({ header: Buffer.from("\r\n"), treated: { size: length } }),
              },
            ]),
        }),
    });
    const { made } = await run();
    expect(asked).toEqual([]);
    expect(treated[0]?.addressees.map(({ treatment }) => [treatment.smime.sign, treatment.smime.encrypt])).toEqual([
      ["never", "never"],
      ["never", "never"],
    ]);
    expect(made?.message.facts.contents).toEqual([{ size: 7, smime: encrypted }]);
  });

  it.each<[string, Partial<Parameters<typeof rig>[0]>]>([
    ["what S/MIME cannot be done to", { treat: () => Promise.resolve(reply(550, "7.5", "not as MIME")) }],
    [
      "what its body shows to be something else",
      {
        treat: () =>
          Promise.resolve({ passed: () => undefined, finish: () => Promise.resolve(reply(550, "7.5", "no key")) }),
      },
    ],
  ])("passes over %s", async (_, over) => {
    const { run, errors } = rig(over);
    expect(await run()).toEqual({ unknown: [] });
    expect(errors).toEqual([]);
  });

  const rejects = (failure: Error) => (): Promise<never> => Promise.reject(failure);
  it.each<[string, Partial<Parameters<typeof rig>[0]>]>([
    ["a full disk", { write: rejects(new StoreError("no-space", "full")) }],
    ["a defect", { treat: rejects(new TypeError("a defect")) }],
    [
      "a content that was left in plain",
      {
        treat: () =>
          Promise.resolve({
            passed: () => undefined,
            finish: () =>
              Promise.resolve([
                {
                  positions: [0, 1],
                  seal: () => Promise.resolve({ header: Buffer.from("\r\n"), treated: { size: 1 } }),
                },
              ]),
          }),
      },
    ],
  ])("lets all wait after %s, and leaves nothing behind", async (_, over) => {
    const { run, errors } = rig(over);
    expect(await run()).toEqual({ unknown: [0, 1] });
    expect(errors).toEqual(["fallback"]);
  });

  it("rejects for damaged content, which is parked", async () => {
    const { run, errors } = rig({ header: rejects(new StoreError("damaged", "the header fails authentication")) });
    await expect(run()).rejects.toThrow(StoreError);
    expect(errors).toEqual([]);
  });
});
