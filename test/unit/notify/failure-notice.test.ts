import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Recipient } from "../../../src/mail/envelope.ts";
import { type Mailbox, parseMailbox } from "../../../src/mail/mailbox.ts";
import { problem, type Reason } from "../../../src/mail/outcome.ts";
import type { Unreached } from "../../../src/notify/delivery-status.ts";
import { failureNotice, type FailureNoticeInput } from "../../../src/notify/failure-notice.ts";
import type { Notice } from "../../../src/notify/notice.ts";
import { english } from "../../../src/notify/wording-en.ts";
import { german } from "../../../src/notify/wording-de.ts";
import { type Entity, field, fieldGroups, names, readNotice } from "./read-notice.ts";

function mailbox(text: string): Mailbox {
  const parsed = parseMailbox(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

function recipient(address: string, more: Partial<Recipient> = {}): Recipient {
  return { position: 0, mailbox: mailbox(address), ...more };
}

const NO_TLS = problem("deferred", "starttls-not-supported", "mx.acme.example offers no STARTTLS");
const UNKNOWN_USER = problem("failed", "smtp-5xx", "The peer refused the recipient", {
  code: 550,
  enhancedCode: "5.1.1",
  text: "No such user here",
});

const EXPIRED: Unreached = { recipient: recipient("bob@acme.example"), end: "expired", problem: NO_TLS };
const REFUSED: Unreached = { recipient: recipient("eve@acme.example"), end: "failed", problem: UNKNOWN_USER };

interface Changes extends Partial<FailureNoticeInput> {
  readonly sender?: Mailbox | null;
  readonly envid?: string;
  readonly ownNotice?: boolean;
}

function input({ sender, envid, ownNotice, ...changes }: Changes = {}): FailureNoticeInput {
  return {
    id: "0123456789abcdef0123456789abcdef",
    hostname: "relay.example.org",
    postmaster: "postmaster@example.org",
    now: Date.UTC(2026, 10, 18, 11, 6, 40),
    domain: "acme.example",
    message: {
      id: "fedcba9876543210fedcba9876543210",
      envelope: {
        reversePath: sender === undefined ? mailbox("anna@example.org") : sender,
        mail: { body: "7BIT", smtpUtf8: false, requireTls: false, ...(envid !== undefined && { envid }) },
        recipients: [],
      },
      size: 1000,
      receivedAt: Date.UTC(2026, 10, 17, 7, 20),
      listener: "smarthost",
      client: { address: "127.0.0.1", port: 4711, helo: "client", via: "network" },
      notice: ownNotice === true,
      contents: [{ size: 1000 }],
    },
    header: Buffer.from("From: anna@example.org\r\nMessage-ID: <1@example.org>\r\nSubject: Lunch\r\n\r\n"),
    unreached: [EXPIRED],
    language: "en",
    encryptionDemanded: true,
    ...changes,
  };
}

function made(changes: Changes = {}): Notice {
  const notice = failureNotice(input(changes));
  if (notice === undefined) throw new Error("no notice");
  return notice;
}

interface Taken {
  readonly whole: Entity;
  readonly plain: string;
  readonly html: string;
  readonly message: Pick<Entity, "fields">;
  readonly recipients: Pick<Entity, "fields">[];
  readonly original: string;
}

function take(notice: Notice): Taken {
  const whole = readNotice(notice);
  const [words, status, headers, ...more] = whole.parts;
  const [plain, html, ...others] = words?.parts ?? [];
  const [message, ...recipients] = fieldGroups(status?.text ?? "");
  if (!plain || !html || !status || !headers || !message || more.length + others.length > 0) throw new Error("parts");
  expect([words?.type.split(";")[0], plain.type, html.type, status.type, headers.type]).toEqual([
    "multipart/alternative",
    "text/plain; charset=utf-8",
    "text/html; charset=utf-8",
    "message/delivery-status",
    "text/rfc822-headers",
  ]);
  return { whole, plain: plain.text, html: html.text, message, recipients, original: headers.text };
}

/** Text as people read it, its line breaks undone. */
const flat = (text: string): string => text.replace(/\s+/g, " ");

describe("a failure notice", () => {
  it("is a report to the sender that nobody answers [RFC 6522 §3, RFC 3834 §5]", () => {
    const notice = made();
    expect(notice.recipient).toEqual(mailbox("anna@example.org"));
    const { whole } = take(notice);
    expect(Object.fromEntries(whole.fields)).toEqual({
      Date: "Wed, 18 Nov 2026 11:06:40 +0000",
      From: "Mail Delivery System <MAILER-DAEMON@relay.example.org>",
      To: "<anna@example.org>",
      Subject: "Not delivered: your message to acme.example",
      "Message-ID": "<0123456789abcdef0123456789abcdef@relay.example.org>",
      References: "<1@example.org>",
      "Auto-Submitted": "auto-replied",
      "Content-Language": "en",
      "MIME-Version": "1.0",
      "Content-Type": 'multipart/report; report-type=delivery-status; boundary="=_0123456789abcdef0123456789abcdef_r"',
    });
  });

  it("says of each recipient what machines need [RFC 3464 §2.3]", () => {
    const original = { ...EXPIRED, recipient: recipient("bob@acme.example", { orcpt: "rfc822;Bob+2Bx@Acme.example" }) };
    const unreached = [{ ...original, remoteMta: "mx.acme.example" }, REFUSED];
    const notice = made({ unreached, envid: "QQ+2B314159" });
    const { message, recipients } = take(notice);
    expect(message.fields).toEqual([
      ["Reporting-MTA", "dns; relay.example.org"],
      ["Original-Envelope-Id", "QQ+314159"],
      ["Arrival-Date", "Tue, 17 Nov 2026 07:20:00 +0000"],
    ]);
    expect(recipients.map(({ fields }) => fields)).toEqual([
      [
        ["Original-Recipient", "rfc822; Bob+x@Acme.example"],
        ["Final-Recipient", "rfc822; bob@acme.example"],
        ["Action", "failed"],
        ["Status", "5.4.7"],
        ["Remote-MTA", "dns; mx.acme.example"],
        ["Diagnostic-Code", "x-sealpost; starttls-not-supported: mx.acme.example offers no STARTTLS"],
        ["Last-Attempt-Date", "Wed, 18 Nov 2026 11:06:40 +0000"],
      ],
      [
        ["Final-Recipient", "rfc822; eve@acme.example"],
        ["Action", "failed"],
        ["Status", "5.1.1"],
        ["Diagnostic-Code", "smtp; 550 5.1.1 No such user here"],
        ["Last-Attempt-Date", "Wed, 18 Nov 2026 11:06:40 +0000"],
      ],
    ]);
    expect(notice.statuses).toEqual(["5.4.7", "5.1.1"]);
  });

  it("tells people in plain words, and names the RFC 8460 result type", () => {
    const { plain, html } = take(made({ unreached: [EXPIRED, REFUSED] }));
    for (const text of [flat(plain), flat(html.replace(/<[^>]*>/g, " ").replaceAll("&quot;", '"'))]) {
      expect(text).toContain("relay.example.org");
      expect(text).toContain('Your message "Lunch" of 17 November 2026 at 07:20 UTC was not delivered');
      expect(text).toContain("the mail system of acme.example offers no encryption at present");
      expect(text).toContain("The message has not left the house unencrypted.");
      expect(text).toContain("starttls-not-supported (status 5.4.7)");
      expect(text).toContain("bob@acme.example");
      expect(text).toContain("550 5.1.1 No such user here");
      expect(text).toContain("postmaster@example.org");
    }
  });

  it("tells it in German", () => {
    const { whole, plain, html } = take(made({ language: "de" }));
    expect(field(whole, "Subject")).toBe("Nicht zugestellt: Ihre Nachricht an acme.example");
    for (const text of [plain, html].map(flat)) {
      expect(text).toContain("das Mailsystem von acme.example bietet zurzeit keine Verschlüsselung an");
      expect(text).toContain("Die Nachricht hat das Haus nicht unverschlüsselt verlassen.");
      expect(text).toContain("17. November 2026");
    }
    expect(html).toContain('<html lang="de">');
  });

  it.each<[string, Changes, boolean]>([
    ["a TLS reason, TLS demanded", {}, true],
    ["a TLS reason where clear text was allowed", { encryptionDemanded: false }, false],
    ["a refusal", { unreached: [REFUSED] }, false],
  ])("says that nothing left unencrypted only where that is so: %s", (_, changes, said) => {
    expect(flat(take(made(changes)).plain).includes("not left the house unencrypted")).toBe(said);
  });

  it("says when the message may have arrived nevertheless", () => {
    const lost = { ...problem("deferred", "connection-lost", "The connection broke"), mayBeDelivered: true } as const;
    expect(flat(take(made({ unreached: [{ ...EXPIRED, problem: lost }] })).plain)).toContain(
      "may have arrived nevertheless",
    );
    expect(flat(take(made()).plain)).not.toContain("may have arrived");
  });

  it("carries the original's header and nothing of its body [RFC 6522 §4]", () => {
    const header = Buffer.from("From: anna@example.org\r\nX-Long: a\r\n\tb\r\n\r\nTHE BODY\r\n\r\nMORE");
    expect(take(made({ header })).original).toBe("From: anna@example.org\r\nX-Long: a\r\n\tb\r\n");
  });

  it("carries a header with 8-bit octets in 7 bits", () => {
    const header = Buffer.from("Subject: Grüße\r\nX: \u2028\r\n\r\n");
    const notice = made({ header });
    expect(take(notice).original).toBe("Subject: Grüße\r\nX: \u2028\r\n");
    expect(/[^\x00-\x7f]/.test(notice.body.toString("latin1"))).toBe(false);
  });

  it.each([
    ["=?utf-8?Q?Gr=C3=BC=C3=9Fe_?= =?UTF-8?B?4oKs?=", "Grüße €"],
    ["=?iso-8859-1?q?=FCber?=", "über"],
    ["=?no-such-charset?q?x?=", "=?no-such-charset?q?x?="],
    ["plain = text?", "plain = text?"],
  ])("shows the subject %s as people wrote it [RFC 2047 §2]", (subject, shown) => {
    expect(take(made({ header: Buffer.from(`Subject: ${subject}\r\n\r\n`) })).plain).toContain(shown);
  });

  it("stays below 50 kB with 50 refused recipients and the largest header", () => {
    const header = Buffer.concat([Buffer.from("Subject: x\r\n"), Buffer.from(`X: ${"ü".repeat(400)}\r\n`.repeat(300))]);
    const text = "no ".repeat(2000);
    const unreached = Array.from({ length: 50 }, (_, i) => ({
      ...REFUSED,
      recipient: recipient(`${"r".repeat(50)}${i}@acme.example`),
      problem: problem("failed", "smtp-5xx", text, { code: 550, text: `${i} ${text}` }),
    }));
    const notice = made({ header, unreached });
    expect(notice.header.length + notice.body.length).toBeLessThanOrEqual(50_000);
    const { recipients, original, plain } = take(notice);
    expect(recipients).toHaveLength(50);
    expect(original.startsWith("Subject: x\r\n")).toBe(true);
    expect(plain).toContain("and 20 more");
  });

  it("writes an address outside ASCII in ASCII, and asks for SMTPUTF8 only for such a sender [RFC 6533 §3]", () => {
    const unreached = [{ ...EXPIRED, recipient: recipient("jörg+a@acme.example") }];
    const notice = made({ unreached });
    expect(field(take(notice).recipients[0] ?? { fields: [] }, "Final-Recipient")).toBe(
      "utf-8; j\\x{F6}rg\\x{2B}a@acme.example",
    );
    expect(notice.smtpUtf8).toBe(false);
    const toUtf8 = made({ sender: mailbox("jörg@example.org") });
    expect(toUtf8.smtpUtf8).toBe(true);
    expect(toUtf8.header.toString()).toContain("To: <jörg@example.org>\r\n");
  });
});

describe("no failure notice is made", () => {
  it.each<[string, Changes]>([
    ["for a null reverse-path [RFC 3464 §2]", { sender: null }],
    ["for a notice", { ownNotice: true }],
    [
      "with NOTIFY=NEVER [RFC 3461 §4.1]",
      { unreached: [{ ...EXPIRED, recipient: recipient("a@b.example", { notify: ["NEVER"] }) }] },
    ],
    [
      "with NOTIFY without FAILURE [RFC 3461 §4.1]",
      { unreached: [{ ...EXPIRED, recipient: recipient("a@b.example", { notify: ["SUCCESS", "DELAY"] }) }] },
    ],
    ["when all were reached", { unreached: [] }],
  ])("%s", (_, changes) => expect(failureNotice(input(changes))).toBeUndefined());

  it("of the recipients that asked for none, while the others have one [RFC 3461 §4.1]", () => {
    const silent = { ...EXPIRED, recipient: recipient("silent@acme.example", { notify: ["NEVER"] }) };
    const asked = { ...REFUSED, recipient: recipient("asked@acme.example", { notify: ["FAILURE"] }) };
    const notice = made({ unreached: [silent, asked] });
    expect(notice.statuses).toHaveLength(1);
    expect(notice.body.toString()).not.toContain("silent@");
  });
});

describe("the language", () => {
  it.each<[string, "auto" | "de" | "en", "de" | "en" | undefined, string | undefined, "de" | "en"]>([
    ["is English when nothing is known", "auto", undefined, undefined, "en"],
    ["is that of the sender's domain", "auto", "de", undefined, "de"],
    ["is that of the message before that", "auto", "en", "de-AT, fr", "de"],
    ["skips those it does not speak", "auto", "de", "fr, en-GB", "en"],
    ["is no other of the message", "auto", "de", "fr", "de"],
    ["is the one that is set before all", "en", "de", "de", "en"],
  ])("%s", (_, language, senderLanguage, contentLanguage, expected) => {
    const header = Buffer.from(contentLanguage === undefined ? "\r\n" : `Content-Language: ${contentLanguage}\r\n\r\n`);
    expect(made({ language, header, ...(senderLanguage && { senderLanguage }) }).language).toBe(expected);
  });

  it.each(Object.keys(english.reasons) as Reason[])("has words for %s in both", (reason) => {
    const [en, de] = [english.reasons[reason]("acme.example"), german.reasons[reason]("acme.example")];
    expect(en).not.toBe(de);
    for (const text of [en, de]) expect(text).toMatch(/^\p{L}.*[^.]$/u);
  });
});

const FIELDS = [
  "Original-Recipient",
  "Final-Recipient",
  "Action",
  "Status",
  "Remote-MTA",
  "Diagnostic-Code",
  "Last-Attempt-Date",
];

/** The shape that no text of others may change. */
function expectSound(notice: Notice, recipients: number): Taken {
  const bytes = Buffer.concat([notice.header, notice.body]).toString("latin1");
  expect(bytes).not.toMatch(/[^\x20-\x7e\r\n\t]|\r(?!\n)|[^\r]\n/);
  for (const line of bytes.split("\r\n")) expect(line.length).toBeLessThanOrEqual(998);
  const taken = take(notice);
  const expected = ["Date", "From", "To", "Subject", "Message-ID", "References", "Auto-Submitted", "Content-Language"];
  expect([...expected, "MIME-Version", "Content-Type"]).toEqual(expect.arrayContaining(names(taken.whole)));
  expect(taken.recipients).toHaveLength(recipients);
  for (const group of taken.recipients) {
    expect(FIELDS).toEqual(expect.arrayContaining(names(group)));
    expect(new Set(names(group)).size).toBe(group.fields.length);
    expect(field(group, "Status")).toMatch(/^5\.\d{1,3}\.\d{1,3}$/);
  }
  expect(taken.html.replace(/<\/?(?:p|ul|li)>|<\/?html[^<>]*>|<\/?body>|<!DOCTYPE html>/g, "")).not.toMatch(/[<>]/);
  return taken;
}

describe("text of others", () => {
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
    ["a lone surrogate", "no \ud800"],
    ["very long words", "x".repeat(100_000)],
  ])("cannot break the notice: %s", (_, hostile) => {
    const peer = problem("failed", "smtp-5xx", hostile, { code: 550, enhancedCode: hostile, text: hostile });
    const unreached: Unreached[] = [
      { ...REFUSED, problem: peer, remoteMta: hostile },
      { ...EXPIRED, problem: problem("deferred", "validation-failure", hostile) },
      { ...EXPIRED, problem: { ...NO_TLS, status: hostile }, end: "failed" },
      { ...EXPIRED, recipient: recipient("bob@acme.example", { orcpt: `rfc822;${hostile}` }) },
      { ...EXPIRED, recipient: recipient("bob@acme.example", { orcpt: hostile }) },
    ];
    const header = Buffer.from(
      `Subject: ${hostile}\r\nMessage-ID: <${hostile}>\r\nContent-Language: ${hostile}\r\n\r\n`,
    );
    const { whole } = expectSound(made({ unreached, header, envid: hostile }), 5);
    expect(names(whole)).not.toContain("Bcc");
  });

  it("cannot break it with xtext that decodes to line ends [RFC 3461 §4]", () => {
    const orcpt = "rfc822;a+0D+0ABcc:+20x@acme.example";
    const notice = made({
      unreached: [{ ...EXPIRED, recipient: recipient("a@b.example", { orcpt }) }],
      envid: "a+0D+0Ab",
    });
    const { recipients, message } = expectSound(notice, 1);
    expect(field(recipients[0] ?? { fields: [] }, "Original-Recipient")).toBeUndefined();
    expect(field(message, "Original-Envelope-Id")).toBeUndefined();
  });

  it("cannot break it, whatever it is", () => {
    const hostile = fc.oneof(
      fc.array(fc.nat(0xffff), { maxLength: 300 }).map((units) => String.fromCharCode(...units)),
      fc.string({
        unit: fc.constantFrom("\r", "\n", "\0", " ", "-", "=", "?", "+0D", ":", "a", "ü", "<", "_r"),
        maxLength: 300,
      }),
    );
    const bytes = fc.uint8Array({ maxLength: 400 });
    fc.assert(
      fc.property(hostile, hostile, hostile, bytes, (text, other, third, octets) => {
        const peer = problem("failed", "smtp-5xx", text, { code: 550, enhancedCode: third, text: other });
        const unreached: Unreached[] = [
          { ...REFUSED, problem: peer, remoteMta: text },
          {
            recipient: recipient("a@b.example", { orcpt: `utf-8;${third}` }),
            end: "failed",
            problem: { ...NO_TLS, detail: other },
          },
        ];
        const header = Buffer.concat([Buffer.from("Subject: "), octets, Buffer.from("\r\n\r\n")]);
        expectSound(made({ unreached, header, envid: text, language: "de" }), 2);
      }),
      { numRuns: 100 },
    );
  });
});
