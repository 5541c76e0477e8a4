import { describe, expect, it } from "vitest";
import { problem, type Reason } from "../../../src/mail/outcome.ts";
import type { Unreached } from "../../../src/notify/delivery-status.ts";
import { failureNotice } from "../../../src/notify/failure-notice.ts";
import type { Notice } from "../../../src/notify/notice.ts";
import { english } from "../../../src/notify/wording-en.ts";
import { german } from "../../../src/notify/wording-de.ts";
import { EXPIRED, facts, flat, mailbox, present, recipient, REFUSED, shown, take } from "./notice-rig.ts";
import { field } from "./read-notice.ts";

type Changes = Parameters<typeof facts>[0] & { readonly unreached?: readonly Unreached[] };

function input({ unreached = [EXPIRED], ...changes }: Changes = {}) {
  return { ...facts(changes), unreached };
}

function made(changes: Changes = {}): Notice {
  return present(failureNotice(input(changes)));
}

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
    for (const text of [flat(plain), shown(html)]) {
      expect(text).toContain("relay.example.org");
      expect(text).toContain('Your message "Lunch" of 17 November 2026 at 07:20 UTC was not delivered');
      expect(text).toContain("the mail system of acme.example offers no encryption at present");
      expect(text).toContain("For these recipients, the message has not left the house unencrypted.");
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
      expect(text).toContain("Für diese Empfänger hat die Nachricht das Haus nicht unverschlüsselt verlassen.");
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
    expect(original).toMatch(/^Subject: x\r\n/);
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
