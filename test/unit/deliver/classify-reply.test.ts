import { describe, expect, it } from "vitest";
import { classify, isTooManyRecipients } from "../../../src/deliver/classify-reply.ts";
import type { Recipient } from "../../../src/mail/envelope.ts";
import { parseMailbox } from "../../../src/mail/mailbox.ts";
import type { PeerReply } from "../../../src/mail/outcome.ts";
import type { TransactionReplies } from "../../../src/mail/session.ts";

const to = (position: number, address: string): Recipient => {
  const mailbox = parseMailbox(address);
  if (mailbox === undefined) throw new Error(address);
  return { position, mailbox };
};
const recipients = [to(3, "a@acme.example"), to(7, "b@acme.example")];
const says = (code: number, enhancedCode?: string): PeerReply => ({
  code,
  text: "words",
  ...(enhancedCode && { enhancedCode }),
});
const rcpt = (a?: PeerReply, b?: PeerReply): Pick<TransactionReplies, "recipients"> => ({
  recipients: new Map([...(a ? [[3, a] as const] : []), ...(b ? [[7, b] as const] : [])]),
});
const mail = says(250);
const ok = says(250);

function endings(replies: TransactionReplies): string[] {
  const outcomes = classify("mx.acme.example", recipients, replies);
  return [3, 7].map((position) => {
    const outcome = outcomes.get(position);
    return outcome?.kind === "delivered" ? "delivered" : `${outcome?.kind} ${outcome?.reason} ${outcome?.status}`;
  });
}

describe("each recipient ends by its own reply", () => {
  it.each<[string, TransactionReplies, [string, string]]>([
    ["all taken", { mail, ...rcpt(ok, ok), data: says(250) }, ["delivered", "delivered"]],
    [
      "one of two: a 2xx for some does not end the others",
      { mail, ...rcpt(ok, says(450, "4.2.1")), data: says(250) },
      ["delivered", "deferred smtp-4xx 4.2.1"],
    ],
    [
      "one unknown [RFC 5321 §4.2.4]",
      { mail, ...rcpt(says(550, "5.1.1"), ok), data: says(250) },
      ["failed smtp-5xx 5.1.1", "delivered"],
    ],
    [
      "both refused, the reply to DATA says nothing more",
      { mail, ...rcpt(says(550, "5.1.1"), says(451)), data: says(554) },
      ["failed smtp-5xx 5.1.1", "deferred smtp-4xx 4.0.0"],
    ],
    ["forwarded [RFC 5321 §3.4]", { mail, ...rcpt(says(251), says(252)), data: says(250) }, ["delivered", "delivered"]],
    ["MAIL refused for now", { mail: says(451), ...rcpt() }, ["deferred smtp-4xx 4.0.0", "deferred smtp-4xx 4.0.0"]],
    [
      "MAIL refused for good",
      { mail: says(550, "5.7.1"), ...rcpt() },
      ["failed smtp-5xx 5.7.1", "failed smtp-5xx 5.7.1"],
    ],
    [
      "MAIL refused for want of TLS waits: a TLS problem never bounces [RFC 3207 §4]",
      { mail: says(530, "5.7.0"), ...rcpt() },
      ["deferred smtp-5xx 4.0.0", "deferred smtp-5xx 4.0.0"],
    ],
    [
      "DATA refused for now",
      { mail, ...rcpt(ok, ok), data: says(452, "4.3.1") },
      ["deferred smtp-4xx 4.3.1", "deferred smtp-4xx 4.3.1"],
    ],
    [
      "content refused",
      { mail, ...rcpt(ok, ok), data: says(552, "5.3.4") },
      ["failed smtp-5xx 5.3.4", "failed smtp-5xx 5.3.4"],
    ],
    [
      "too many recipients, by 452 and by 552 [RFC 5321 §4.5.3.1.10]",
      { mail, ...rcpt(says(452, "4.5.3"), says(552, "5.5.3")), data: says(554) },
      ["deferred smtp-4xx 4.5.3", "deferred smtp-5xx 4.0.0"],
    ],
    [
      "421 [RFC 5321 §3.8]",
      { mail: says(421, "4.3.2"), ...rcpt() },
      ["deferred smtp-4xx 4.3.2", "deferred smtp-4xx 4.3.2"],
    ],
  ])("%s", (_, replies, expected) => expect(endings(replies)).toEqual(expected));
});

describe("a session that breaks", () => {
  const lost = (stage: NonNullable<TransactionReplies["lost"]>["stage"]) => ({ lost: { stage, detail: "It ended" } });
  const waits = "deferred connection-lost 4.4.2";
  it.each<[string, TransactionReplies, [string, string]]>([
    ["before MAIL is answered", { ...rcpt(), ...lost("mail") }, [waits, waits]],
    [
      "between the recipients",
      { mail, ...rcpt(says(550, "5.1.1")), ...lost("rcpt") },
      ["failed smtp-5xx 5.1.1", waits],
    ],
    ["within the content", { mail, ...rcpt(ok, says(550)), ...lost("data") }, [waits, "failed smtp-5xx 5.0.0"]],
    ["after the final dot [RFC 1047]", { mail, ...rcpt(ok, ok), ...lost("final-dot") }, [waits, waits]],
    ["without a word", { mail, ...rcpt(ok, ok) }, [waits, waits]],
    [
      "and a reply to the final dot without any to RCPT delivers nothing",
      { mail, ...rcpt(), data: says(250) },
      [waits, waits],
    ],
  ])("%s", (_, replies, expected) => expect(endings(replies)).toEqual(expected));

  it("may have delivered only after the final dot", () => {
    const after = classify("mx", recipients, { mail, ...rcpt(ok, says(550)), ...lost("final-dot") });
    expect(after.get(3)).toMatchObject({ mayBeDelivered: true });
    expect(after.get(7)).not.toHaveProperty("mayBeDelivered");
    expect(classify("mx", recipients, { mail, ...rcpt(ok, ok), ...lost("data") }).get(3)).not.toHaveProperty(
      "mayBeDelivered",
    );
  });
});

it("quotes peer and recipient in its sentence", () => {
  const outcomes = classify("mx.acme.example", recipients, { mail, ...rcpt(says(550, "5.1.1"), ok), data: ok });
  expect(outcomes.get(3)).toMatchObject({ detail: "mx.acme.example refused a@acme.example: 550 5.1.1 words" });
});

it.each([
  [452, true],
  [552, true],
  [451, false],
])("%i says that more recipients may follow: %s", (code, expected) => {
  const outcome = classify("mx", recipients, { mail, ...rcpt(says(code), ok), data: ok }).get(3);
  expect(isTooManyRecipients(outcome)).toBe(expected);
  expect(isTooManyRecipients(undefined)).toBe(false);
});
