/** What the gateway writes to people of the house: notices that reached nobody, and alarms. */
import { describe, expect, it } from "vitest";
import { alarmNotice, type AlarmNoticeInput } from "../../../src/notify/alarm-notice.ts";
import { undeliverableNotice } from "../../../src/notify/undeliverable-notice.ts";
import { facts, flat, mailbox, REFUSED, shown, take } from "./notice-rig.ts";
import { field, readNotice } from "./read-notice.ts";

describe("a notice that reached nobody", () => {
  const header = Buffer.from("Message-ID: <n@relay.example.org>\r\nSubject: Not delivered: your message\r\n\r\nBODY");
  const made = (changes: Parameters<typeof facts>[0] = {}) =>
    undeliverableNotice({
      ...facts({ header, sender: null, ownNotice: true, ...changes }),
      postmasterMailbox: mailbox("postmaster@example.org"),
      unreached: [REFUSED],
    });

  it("is told to the postmaster with its header, and nothing of its body", () => {
    const notice = made();
    const { whole, plain, html, recipients, original } = take(notice);
    expect(notice.recipient).toEqual(mailbox("postmaster@example.org"));
    expect(Object.fromEntries(whole.fields)).toMatchObject({
      To: "<postmaster@example.org>",
      Subject: "A notice to acme.example could not be delivered",
      References: "<n@relay.example.org>",
      "Auto-Submitted": "auto-replied",
    });
    for (const text of [flat(plain), shown(html)]) {
      expect(text).toContain("A notice that it wrote on 17 November 2026 at 07:20 UTC could not be delivered");
      expect(text).toContain("eve@acme.example");
      expect(text).toContain("550 5.1.1 No such user here");
      expect(text).toContain("Nothing more will be sent about it.");
    }
    expect(recipients.map((one) => [field(one, "Action"), field(one, "Status")])).toEqual([["failed", "5.1.1"]]);
    expect(original).toBe("Message-ID: <n@relay.example.org>\r\nSubject: Not delivered: your message\r\n");
    expect(notice.body.toString()).not.toContain("BODY");
  });

  it("is told in German where the house speaks it", () => {
    const notice = made({ language: "auto", senderLanguage: "de" });
    expect(notice.language).toBe("de");
    expect(flat(take(notice).plain)).toContain("Eine Benachrichtigung vom 17. November 2026 um 07:20 UTC konnte der");
  });
});

describe("an alarm by mail", () => {
  const ALARM: AlarmNoticeInput = {
    id: "0123456789abcdef0123456789abcdef",
    hostname: "relay.example.org",
    now: Date.UTC(2026, 10, 18, 11, 6, 40),
    to: mailbox("olga@example.org"),
    language: "en",
    code: "mail-waiting",
    partner: "ACME AG",
    state: "raised",
    since: Date.UTC(2026, 10, 18, 10, 6),
    remedy: "Ask the other side to offer STARTTLS.",
  };

  it("is plain mail that nobody answers, about no message [RFC 3834 §5]", () => {
    const notice = alarmNotice({ ...ALARM, until: Date.UTC(2026, 10, 20) });
    const { fields, text, type } = readNotice(notice);
    expect(Object.fromEntries(fields)).toMatchObject({
      Date: "Wed, 18 Nov 2026 11:06:40 +0000",
      From: "Mail Delivery System <MAILER-DAEMON@relay.example.org>",
      To: "<olga@example.org>",
      Subject: "Alarm: mail-waiting (ACME AG)",
      "Message-ID": "<0123456789abcdef0123456789abcdef@relay.example.org>",
      "Auto-Submitted": "auto-generated",
      "Content-Language": "en",
    });
    expect(type).toBe("text/plain; charset=utf-8");
    expect(text).toContain("Alarm: mail-waiting (ACME AG)");
    expect(text).toContain("Since: 18 November 2026 at 10:06 UTC");
    expect(text).toContain("Until: 20 November 2026 at 00:00 UTC");
    expect(text).toContain("What helps: Ask the other side to offer STARTTLS.");
  });

  it("is told in German, and when it is over", () => {
    const { partner: _, ...nobodys } = ALARM;
    const { fields, text } = readNotice(alarmNotice({ ...nobodys, language: "de", state: "cleared" }));
    expect(field({ fields }, "Subject")).toBe("Vorbei: mail-waiting");
    expect(text).toContain("Hier ist das Mail-Gateway relay.example.org.");
    expect(text).toContain("Seit: 18. November 2026 um 10:06 UTC");
    expect(text).not.toContain("Was hilft");
  });

  it("cannot be broken by what it tells", () => {
    const hostile = "a\r\nBcc: x@example.net\r\n\r\n<b>\u2028\0";
    const notice = alarmNotice({ ...ALARM, code: hostile, partner: hostile, remedy: hostile });
    const { fields, text } = readNotice(notice);
    expect(fields.map(([name]) => name)).not.toContain("Bcc");
    expect(text).not.toMatch(/^Bcc/m);
    expect(Buffer.concat([notice.header, notice.body]).toString("latin1")).not.toMatch(
      /[^\x20-\x7e\r\n]|\r(?!\n)|[^\r]\n/,
    );
  });
});
