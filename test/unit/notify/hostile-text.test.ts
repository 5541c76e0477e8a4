/** No text of a peer, a client or a configuration can change the shape of a notice, of whatever kind. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { problem } from "../../../src/mail/outcome.ts";
import { delayNotice, ownerCopy } from "../../../src/notify/delay-notice.ts";
import type { Unreached } from "../../../src/notify/delivery-status.ts";
import { failureNotice } from "../../../src/notify/failure-notice.ts";
import type { Notice } from "../../../src/notify/notice.ts";
import { reachedNotice } from "../../../src/notify/reached-notice.ts";
import { undeliverableNotice } from "../../../src/notify/undeliverable-notice.ts";
import { EXPIRED, expectSound, facts, mailbox, NO_TLS, present, recipient, REFUSED } from "./notice-rig.ts";
import { field, names } from "./read-notice.ts";

/** Every text that somebody else has a say in. */
interface Said {
  readonly reply: string;
  readonly code: string;
  readonly host: string;
  readonly detail: string;
  readonly orcpt: string;
  readonly envid: string;
  readonly partner: string;
  readonly header: Buffer;
}

function said(text: string, over: Partial<Said> = {}): Said {
  const header = Buffer.from(`Subject: ${text}\r\nMessage-ID: <${text}>\r\nContent-Language: ${text}\r\n\r\n`);
  return {
    reply: text,
    code: text,
    host: text,
    detail: text,
    orcpt: `rfc822;${text}`,
    envid: text,
    partner: text,
    header,
    ...over,
  };
}

/** Of each kind one, and the recipients that it names. */
const KINDS: readonly [string, (text: Said) => { readonly notice: Notice; readonly recipients: number }][] = [
  [
    "failure",
    (text) => {
      const unreached: Unreached[] = [
        { ...REFUSED, problem: peer(text), remoteMta: text.host },
        { ...EXPIRED, problem: problem("deferred", "validation-failure", text.detail) },
        { ...EXPIRED, problem: { ...NO_TLS, status: text.code }, end: "failed" },
        { ...EXPIRED, recipient: recipient("bob@acme.example", { orcpt: text.orcpt }) },
        { ...EXPIRED, recipient: recipient("bob@acme.example", { orcpt: text.detail }) },
      ];
      return { notice: present(failureNotice({ ...about(text), unreached })), recipients: 5 };
    },
  ],
  ["delay", (text) => ({ notice: present(delayNotice(waiting(text))), recipients: 1 })],
  [
    "copy",
    (text) => {
      const { partner } = text;
      const remedy = { en: "Ask them.", de: "Fragen Sie sie." };
      const owner = mailbox("olga@example.org");
      return { notice: ownerCopy({ ...waiting(text), owner, partner, remedy }), recipients: 1 };
    },
  ],
  ...(["delivered", "relayed"] as const).map((kind): (typeof KINDS)[number] => [
    kind,
    (text) => {
      const bob = recipient("bob@acme.example", { orcpt: text.orcpt });
      const smtp = { code: 250, enhancedCode: text.code, text: text.reply };
      const delivered = [{ recipient: bob, smtp, dsnPassedOn: false, remoteMta: text.host }];
      return { notice: present(reachedNotice({ ...about(text), kind, delivered })), recipients: 1 };
    },
  ]),
  [
    "undeliverable",
    (text) => {
      const unreached = [{ ...REFUSED, problem: peer(text), remoteMta: text.host }];
      const postmasterMailbox = mailbox("postmaster@example.org");
      return { notice: undeliverableNotice({ ...about(text), postmasterMailbox, unreached }), recipients: 1 };
    },
  ],
];

function about({ header, envid }: Said) {
  return facts({ header, envid, language: "de" });
}

function waiting(text: Said) {
  const recipients = [recipient("bob@acme.example", { orcpt: text.orcpt })];
  const last = { reason: "smtp-4xx", detail: text.detail } as const;
  return { ...about(text), recipients, last, lastTryAt: Date.UTC(2026, 10, 22) };
}

function peer({ detail, code, reply }: Said) {
  return problem("failed", "smtp-5xx", detail, { code: 550, enhancedCode: code, text: reply });
}

describe.each(KINDS)("a notice of kind %s", (_, make) => {
  it.each([
    ["a line end", "no\r\nBcc: victim@example.net"],
    ["a bare CR", "no\rBcc: victim@example.net"],
    ["a bare LF", "no\nBcc: victim@example.net"],
    ["the end of the header", "no\r\n\r\n<script>alert(1)</script>"],
    ["NUL", "no\0Bcc: x"],
    ["other line ends of Unicode", "no\u2028Bcc: x\u2029Bcc: y\u0085Bcc: z\vBcc: a"],
    ["a boundary", "no\r\n--=_0123456789abcdef0123456789abcdef_r--\r\n"],
    ["marks that turn the direction of reading", "no \u202egnp.exe"],
    ["HTML", "<img src=x onerror=alert(1)> & \"'"],
    ["an encoded-word", "=?utf-8?Q?=0D=0ABcc:_x?="],
    ["xtext that decodes to line ends [RFC 3461 §4]", "a+0D+0ABcc:+20x@acme.example"],
    ["a lone surrogate", "no \ud800"],
    ["very long words", "x".repeat(100_000)],
  ])("cannot be broken by %s", (_, hostile) => {
    const { notice, recipients } = make(said(hostile));
    expect(names(expectSound(notice, recipients).whole)).not.toContain("Bcc");
  });

  it("cannot be broken, whatever is said", () => {
    const hostile = fc.oneof(
      fc.array(fc.nat(0xffff), { maxLength: 300 }).map((units) => String.fromCharCode(...units)),
      fc.string({
        unit: fc.constantFrom("\r", "\n", "\0", " ", "-", "=", "?", "+0D", ":", ";", "a", "ü", "<", "_r"),
        maxLength: 300,
      }),
    );
    const texts = fc.record({
      reply: hostile,
      code: hostile,
      host: hostile,
      detail: hostile,
      orcpt: hostile.map((text) => `utf-8;${text}`),
      envid: hostile,
      partner: hostile,
      header: fc.uint8Array({ maxLength: 400 }).map((octets) => Buffer.concat([SUBJECT, octets, END])),
    });
    fc.assert(
      fc.property(texts, (text) => {
        const { notice, recipients } = make(text);
        expectSound(notice, recipients);
      }),
      { numRuns: 25 },
    );
  });
});

const SUBJECT = Buffer.from("Subject: ");
const END = Buffer.from("\r\n\r\n");

it("leaves out an ORCPT or ENVID that decodes to more than a line [RFC 3461 §4]", () => {
  const orcpt = "rfc822;a+0D+0ABcc:+20x@acme.example";
  const unreached = [{ ...EXPIRED, recipient: recipient("a@b.example", { orcpt }) }];
  const { recipients, message } = expectSound(
    present(failureNotice({ ...facts({ envid: "a+0D+0Ab" }), unreached })),
    1,
  );
  expect(field(recipients[0] ?? { fields: [] }, "Original-Recipient")).toBeUndefined();
  expect(field(message, "Original-Envelope-Id")).toBeUndefined();
});
