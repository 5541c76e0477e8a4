import { describe, expect, it } from "vitest";
import { formatMailbox, parseMailbox } from "../../../src/mail/mailbox.ts";
import { type SmimePolicy, type Treatment, UNTOUCHED } from "../../../src/mail/treatment.ts";
import {
  type ContentPlan,
  type Found,
  MOST_CONTENTS,
  planContents,
  refuseTooMuch,
  type Situation,
} from "../../../src/transform/plan.ts";
import { senderOf } from "../../../src/transform/sender.ts";

const ours = new Set(["own.test"]);
const mailbox = (address: string) => parseMailbox(address)!;
const headerOf = (fields: string) => Buffer.from(`${fields}\r\n\r\n`);

describe("in whose name a message leaves", () => {
  it.each([
    ["our author and our envelope sender", "From: A <a@own.test>", "a@own.test", true, "a@own.test"],
    ["our author and the null sender", "From: a@own.test", null, true, "a@own.test"],
    ["an author below our domain", "From: a@it.own.test", "a@own.test", true, "a@it.own.test"],
    ["several authors of one domain", "From: a@own.test, b@own.test", "a@own.test", true, "a@own.test"],
    [
      "forwarded mail that claims to be ours",
      "From: a@own.test",
      "x@other.test",
      true,
      "the envelope sender is not in one of our domains",
    ],
    ["two From fields", "From: a@own.test\r\nFrom: b@own.test", null, true, "there is more than one From field"],
    ["authors of two domains", "From: a@own.test, x@other.test", null, true, "the From field names several domains"],
    ["another's mail", "From: x@other.test", "a@own.test", false, "the From address is not in one of our domains"],
    [
      "a name that only ends like ours",
      "From: x@notown.test",
      "a@own.test",
      false,
      "the From address is not in one of our domains",
    ],
    ["no From, our envelope sender", "To: x@y.test", "a@own.test", true, "the From field is missing or unreadable"],
    [
      "no From, another's envelope sender",
      "To: x@y.test",
      "x@other.test",
      false,
      "the From field is missing or unreadable",
    ],
    [
      "a From that cannot be read, and the null sender: anybody's bounce",
      "From: a@own.test <x@other.test",
      null,
      false,
      "the From field is missing or unreadable",
    ],
    ["no From, the null sender", "To: a@own.test", null, false, "the From field is missing or unreadable"],
  ])("%s", (_, fields, reversePath, isOurs, signs) => {
    const sender = senderOf(headerOf(fields), reversePath === null ? null : mailbox(reversePath), ours);
    const { author, unsigned } = sender;
    expect([sender.isOurs, author === undefined ? unsigned : formatMailbox(author)]).toEqual([isOurs, signs]);
  });
});

const treatment = (smime: Partial<SmimePolicy> = {}, over: Partial<Treatment> = {}): Treatment => ({
  ...UNTOUCHED,
  ...over,
  smime: { ...UNTOUCHED.smime, ...smime },
});

interface Row extends Partial<Situation<string>> {
  readonly to: readonly (readonly [string, Treatment, (Found<string> | undefined)?])[];
}

function plan({ to, ...over }: Row) {
  const header = headerOf("From: a@own.test\r\nTo: ann@acme.test, bob@acme.test\r\nCc: eve@other.test");
  return planContents<string>({
    header,
    sender: senderOf(header, mailbox("a@own.test"), ours),
    already: "plain",
    canSign: true,
    hasDkimKey: true,
    addressees: to.map(([address, treated], position) => ({
      recipient: { position, mailbox: mailbox(address) },
      treatment: treated,
    })),
    kindOf: (name) => (name.startsWith("ec") ? "ec" : "rsa"),
    certificates: new Map(to.flatMap(([, , found], position) => (found === undefined ? [] : [[position, found]]))),
    ...over,
  });
}
const plans = (row: Row): readonly ContentPlan<string>[] => {
  const planned = plan(row);
  if ("code" in planned) throw new Error(planned.text);
  return planned;
};
const key = (name: string): Found<string> => ({ kind: "found", certificates: [name] });
const none: Found<string> = { kind: "none", why: "no certificate is known" };

describe("the contents of one message", () => {
  it("are one for all recipients whose treatment comes to the same, whatever their domains", () => {
    const made = plans({
      to: [
        ["ann@acme.test", treatment()],
        ["eve@other.test", treatment()],
      ],
    });
    expect(made).toMatchObject([{ positions: [0, 1], sign: false, encryptTo: [], dkim: false }]);
  });
  it("are one for each treatment", () => {
    const strip = treatment({}, { headers: { received: "strip", remove: [], messageId: "keep" } });
    const made = plans({
      to: [
        ["ann@acme.test", treatment()],
        ["eve@other.test", strip],
        ["bob@acme.test", treatment({ sign: "always" })],
      ],
    });
    expect(made.map(({ positions, sign }) => [positions, sign])).toEqual([
      [[0], false],
      [[1], false],
      [[2], true],
    ]);
  });
  it("encrypt once for all who see each other, and alone for a blind copy: its key would tell of it", () => {
    const wanted = treatment({ encrypt: "always" });
    const made = plans({
      to: [
        ["ann@acme.test", wanted, key("ann")],
        ["blind@acme.test", wanted, key("blind")],
        ["EVE@other.test", wanted, key("eve")],
        ["blind2@acme.test", wanted, key("blind2")],
      ],
    });
    expect(made.map(({ positions, encryptTo }) => [positions, encryptTo])).toEqual([
      [
        [0, 2],
        ["ann", "eve"],
      ],
      [[1], ["blind"]],
      [[3], ["blind2"]],
    ]);
  });
  it("encrypt for RSA and for EC keys apart: some programs read no message that is encrypted for both", () => {
    const wanted = treatment({ encrypt: "always" });
    const made = plans({
      to: [
        ["ann@acme.test", wanted, key("ann")],
        ["eve@other.test", wanted, key("ec-eve")],
        ["bob@acme.test", wanted, key("bob")],
      ],
    });
    expect(made.map(({ positions, encryptTo }) => [positions, encryptTo])).toEqual([
      [
        [0, 2],
        ["ann", "bob"],
      ],
      [[1], ["ec-eve"]],
    ]);
  });
  it("are encrypted for those whose certificate is known, and plain for the others, at if-known", () => {
    const wanted = treatment({ encrypt: "if-known" });
    const made = plans({
      to: [
        ["ann@acme.test", wanted, key("ann")],
        ["bob@acme.test", wanted, none],
      ],
    });
    expect(made.map(({ positions, encryptTo }) => [positions, encryptTo])).toEqual([
      [[0], ["ann"]],
      [[1], []],
    ]);
  });
  it.each([
    ["a user's signature is kept, and not signed again", "signed", { sign: "always" }, { sign: false, encryptTo: [] }],
    ["signed mail is encrypted", "signed", { sign: "always", encrypt: "always" }, { sign: false, encryptTo: ["ann"] }],
    [
      "encrypted mail is left alone",
      "encrypted",
      { sign: "always", encrypt: "always" },
      { sign: false, encryptTo: [] },
    ],
    ["sign, encrypt, sign", "plain", { sign: "always", encrypt: "always", tripleWrap: true }, { tripleWrap: true }],
    ["a triple wrap needs all three", "plain", { encrypt: "always", tripleWrap: true }, { tripleWrap: false }],
    ["opaque is for what we sign", "signed", { sign: "always", format: "opaque" }, { format: "detached" }],
  ] as const)("%s", (_, already, smime, expected) => {
    expect(plans({ already, to: [["ann@acme.test", treatment(smime), key("ann")]] })).toMatchObject([expected]);
  });
  it.each([
    [
      "no key for the sender",
      { canSign: false },
      { sign: "always" },
      undefined,
      550,
      "5.7.5",
      /S\/MIME signature.*acme\.test, but there is no valid key for a@own\.test/,
    ],
    [
      "no certificate",
      {},
      { encrypt: "always" },
      none,
      550,
      "5.7.5",
      /encryption is demanded for mail to ann@acme\.test, but no certificate/,
    ],
    ["never asked for", {}, { encrypt: "always" }, undefined, 550, "5.7.5", /no certificate is known/],
    [
      "a certificate that cannot be checked",
      {},
      { encrypt: "always" },
      { kind: "unknown", why: "LDAP is silent" },
      451,
      "4.7.5",
      /LDAP is silent/,
    ],
    [
      "the same at if-known: unknown is not no",
      {},
      { encrypt: "if-known" },
      { kind: "unknown", why: "LDAP is silent" },
      451,
      "4.7.5",
      /LDAP is silent/,
    ],
  ] as const)("refuses the whole message: %s", (_, over, smime, found, code, enhancedCode, text) => {
    const to = [
      ["bob@acme.test", treatment()],
      ["ann@acme.test", treatment(smime), found],
    ] as const;
    expect(plan({ ...over, to })).toMatchObject({ code, enhancedCode, text: expect.stringMatching(text) });
  });
  it.each([
    ["signs", { sign: "always" }, "signed", "signed"],
    ["encrypts", { encrypt: "if-known" }, "encrypted", "encrypted"],
    ["does neither", {}, "signed", undefined],
  ] as const)("tells what its user has done already where the treatment %s", (_, smime, already, told) => {
    expect(plans({ already, to: [["ann@acme.test", treatment(smime)]] })[0]?.already).toBe(told);
  });
  it("goes unsigned at if-possible without a key", () => {
    expect(plans({ canSign: false, to: [["ann@acme.test", treatment({ sign: "if-possible" })]] })).toMatchObject([
      { sign: false },
    ]);
  });
  it.each([
    ["a key", {}, "sign", { dkim: true }],
    ["none is wanted", {}, "none", { dkim: false }],
    [
      "no key: unsigned, and the log says why",
      { hasDkimKey: false },
      "sign",
      { dkim: false, unsigned: "its domain has no DKIM key in force" },
    ],
    ["no key where one is required", { hasDkimKey: false }, "require", { code: 550, enhancedCode: "5.7.1" }],
    [
      "another's mail",
      { sender: { isOurs: false, unsigned: "not ours" } },
      "sign",
      { dkim: false, unsigned: "not ours" },
    ],
    [
      "another's mail where a signature is required",
      { sender: { isOurs: false, unsigned: "not ours" } },
      "require",
      { code: 550 },
    ],
  ] as const)("DKIM with %s", (_, over, dkim, expected) => {
    const planned = plan({ ...over, to: [["ann@acme.test", treatment({}, { dkim })]] });
    expect("code" in planned ? planned : planned[0]).toMatchObject(expected);
  });
  it("are not made without bound, however often it is tried [RFC 3463 §3.6]", () => {
    const blind = Array.from(
      { length: MOST_CONTENTS + 1 },
      (_, at) => [`b${at}@x.test`, treatment({ encrypt: "always" }), key(`${at}`)] as const,
    );
    expect(plan({ to: blind })).toMatchObject({ code: 550, enhancedCode: "5.5.3" });
    expect(plans({ to: blind.slice(1) }).length).toBe(MOST_CONTENTS);
  });

  const MiB = 1024 * 1024;
  it.each([
    ["50 MiB for twenty blind copies", 20, 50, "pass"],
    ["50 MiB for twenty-one", 21, 50, "refused"],
    ["50 MiB for a hundred", 100, 50, "refused"],
    ["10 MiB for a hundred", 100, 10, "pass"],
    ["11 MiB for a hundred", 100, 11, "refused"],
    ["what a larger limit lets in, for few", 20, 500, "pass"],
  ])("may be so many new bodies and so large, no more: %s", (_, copies, size, expected) => {
    const to = Array.from(
      { length: copies },
      (__, at) => [`b${at}@x.test`, treatment({ encrypt: "always" }), key(`${at}`)] as const,
    );
    const refused = refuseTooMuch(plans({ to }), size * MiB);
    expect(refused === undefined ? "pass" : "refused").toBe(expected);
    if (refused !== undefined) expect(refused).toMatchObject({ code: 550, enhancedCode: "5.5.3" });
  });

  it("that share the body that came may be as many and as large as they like", () => {
    const to = Array.from(
      { length: 50 },
      (_, at) =>
        [
          `b${at}@x.test`,
          treatment({}, { headers: { received: "keep", remove: [`x-${at}`], messageId: "keep" } }),
        ] as const,
    );
    expect(plans({ to }).length).toBe(50);
    expect(refuseTooMuch(plans({ to }), 500 * MiB)).toBeUndefined();
  });
});
