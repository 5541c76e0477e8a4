import { describe, expect, it } from "vitest";
import type { Reason } from "../../../src/mail/outcome.ts";
import {
  delayNotice,
  type DelayNoticeInput,
  ownerCopy,
  type OwnerCopyInput,
} from "../../../src/notify/delay-notice.ts";
import { english } from "../../../src/notify/wording-en.ts";
import { facts, flat, mailbox, present, recipient, shown, take } from "./notice-rig.ts";
import { field, names } from "./read-notice.ts";

const LAST = { reason: "starttls-not-supported", detail: "mx.acme.example offers no STARTTLS" } as const;

type Changes = Parameters<typeof facts>[0] &
  Partial<Pick<OwnerCopyInput, "recipients" | "last" | "partner" | "remedy" | "owner">>;

function input({ recipients = [recipient("bob@acme.example")], last = LAST, ...changes }: Changes): DelayNoticeInput {
  const lastTryAt = Date.UTC(2026, 10, 22, 7, 20);
  return { ...facts(changes), recipients, last, lastTryAt };
}

const made = (changes: Changes = {}) => present(delayNotice(input(changes)));

describe("a delay notice", () => {
  it("is a report to the sender that nobody answers [RFC 6522 §3, RFC 3834 §5]", () => {
    const { whole } = take(made());
    expect(Object.fromEntries(whole.fields)).toMatchObject({
      To: "<anna@example.org>",
      Subject: "Delayed: your message to acme.example",
      References: "<1@example.org>",
      "Auto-Submitted": "auto-replied",
      "Content-Language": "en",
    });
    expect(field(whole, "Content-Type")).toMatch(/^multipart\/report; report-type=delivery-status;/);
  });

  it("says of each recipient that it waits, and how long [RFC 3464 §2.3]", () => {
    const bob = recipient("bob@acme.example", { orcpt: "rfc822;Bob+2Bx@Acme.example" });
    const notice = made({ recipients: [bob, recipient("eve@acme.example")], envid: "QQ+2B314159" });
    const { message, recipients } = take(notice);
    expect(message.fields).toContainEqual(["Original-Envelope-Id", "QQ+314159"]);
    expect(recipients.map(({ fields }) => fields)).toEqual([
      [
        ["Original-Recipient", "rfc822; Bob+x@Acme.example"],
        ["Final-Recipient", "rfc822; bob@acme.example"],
        ["Action", "delayed"],
        ["Status", "4.7.5"],
        ["Diagnostic-Code", "x-sealpost; starttls-not-supported: mx.acme.example offers no STARTTLS"],
        ["Will-Retry-Until", "Sun, 22 Nov 2026 07:20:00 +0000"],
      ],
      expect.arrayContaining([["Final-Recipient", "rfc822; eve@acme.example"]]),
    ]);
    expect(notice.statuses).toEqual(["4.7.5", "4.7.5"]);
  });

  it("gives the reason alone where nothing more is known", () => {
    const { recipients } = take(made({ last: { reason: "connection-failed", detail: "" } }));
    expect(recipients[0]?.fields).toContainEqual(["Diagnostic-Code", "x-sealpost; connection-failed"]);
  });

  it.each([
    [
      "its status",
      { code: 451, enhancedCode: "4.7.1", text: "4.7.1 Greylisted" },
      "4.7.1",
      "smtp; 451 4.7.1 Greylisted",
    ],
    ["none of its own", { code: 450, text: "Later" }, "4.0.0", "smtp; 450 Later"],
    ["one of another class", { code: 450, enhancedCode: "5.1.1", text: "Odd" }, "4.0.0", "smtp; 450 5.1.1 Odd"],
  ])("gives the peer's words where it said any: %s [RFC 3464 §2.3.4, §2.3.6]", (_, smtp, status, diagnostic) => {
    const notice = made({ last: { reason: "smtp-4xx", detail: "the host said no", smtp } });
    const { recipients, plain } = take(notice);
    expect(notice.statuses).toEqual([status]);
    expect(recipients[0]?.fields).toContainEqual(["Diagnostic-Code", diagnostic]);
    expect(flat(plain)).toContain(diagnostic.slice("smtp; ".length));
  });

  it.each<[string, Reason, string]>([
    ["DNS", "dns-failed", "4.4.3"],
    ["no connection", "connection-failed", "4.4.1"],
    ["a certificate", "certificate-expired", "4.7.5"],
    ["a reply", "smtp-4xx", "4.0.0"],
    ["treatment", "treatment-required", "4.7.1"],
  ])("has the status of the reason: %s", (_, reason, status) =>
    expect(made({ last: { reason, detail: "" } }).statuses).toEqual([status]),
  );

  it("tells people whom, why, that nothing left in clear, and until when", () => {
    const { plain, html } = take(made());
    for (const text of [flat(plain), shown(html)]) {
      expect(text).toContain('Your message "Lunch" of 17 November 2026 at 07:20 UTC is still waiting');
      expect(text).toContain("bob@acme.example");
      expect(text).toContain("The reason: the mail system of acme.example offers no encryption at present.");
      expect(text).toContain("the message has not left the house unencrypted");
      expect(text).toContain("The last try will be on 22 November 2026 at 07:20 UTC.");
      expect(text).toContain("starttls-not-supported (status 4.7.5)");
      expect(text).toContain("please ask postmaster@example.org");
    }
  });

  it("tells it in German", () => {
    const { whole, plain, html } = take(made({ language: "de" }));
    expect(field(whole, "Subject")).toBe("=?UTF-8?B?VmVyesO2Z2VydDogSWhyZSBOYWNocmljaHQgYW4gYWNtZS5leGFtcGxl?=");
    for (const text of [flat(plain), shown(html)]) {
      expect(text).toContain("Ihre Nachricht „Lunch“ vom 17. November 2026 um 07:20 UTC wartet noch");
      expect(text).toContain("Der Grund: das Mailsystem von acme.example bietet zurzeit keine Verschlüsselung an.");
      expect(text).toContain("hat die Nachricht das Haus nicht unverschlüsselt verlassen");
      expect(text).toContain("Der letzte Versuch ist am 22. November 2026 um 07:20 UTC.");
      expect(text).toContain("Fragen beantwortet postmaster@example.org.");
    }
  });

  it.each<[string, Changes, boolean]>([
    ["TLS demanded, whatever it waits for", { last: { reason: "connection-failed", detail: "" } }, true],
    ["clear text allowed", { encryptionDemanded: false }, false],
  ])("says that nothing left unencrypted only where that is so: %s", (_, changes, said) =>
    expect(flat(take(made(changes)).plain).includes("not left the house unencrypted")).toBe(said),
  );

  it.each<[string, Changes]>([
    ["of the null sender [RFC 5321 §6.1]", { sender: null }],
    ["that is a notice", { ownNotice: true }],
    ["with NOTIFY=NEVER [RFC 3461 §4.1]", { recipients: [recipient("a@b.example", { notify: ["NEVER"] })] }],
    [
      "with NOTIFY without DELAY [RFC 3461 §4.1]",
      { recipients: [recipient("a@b.example", { notify: ["SUCCESS", "FAILURE"] })] },
    ],
  ])("is not made for mail %s", (_, changes) => expect(delayNotice(input(changes))).toBeUndefined());

  it("leaves out recipients that asked for none", () => {
    const asked = recipient("asked@acme.example", { notify: ["DELAY"] });
    const silent = recipient("silent@acme.example", { notify: ["FAILURE"] });
    const notice = made({ recipients: [asked, silent] });
    expect(notice.statuses).toHaveLength(1);
    expect(notice.body.toString()).not.toContain("silent@");
  });
});

describe("what demands protection all the way", () => {
  it.each<[string, Changes]>([
    ["REQUIRETLS [RFC 8689 §5]", { requireTls: true }],
    ["a TLS-only alias", { demands: { alias: true } }],
  ])("is not told of in a notice: %s", (_, changes) => {
    const notice = made(changes);
    const { whole, plain, original } = take(notice);
    expect(original).toBeUndefined();
    expect(names(whole)).not.toContain("References");
    expect(Buffer.concat([notice.header, notice.body]).toString()).not.toMatch(/Lunch|<1@example\.org>/);
    expect(flat(plain)).toContain("nothing of its header is repeated here");
  });
});

describe("the copy to the partner's owner", () => {
  function copied(changes: Changes = {}) {
    const { owner = mailbox("olga@example.org"), partner = "ACME AG", ...rest } = changes;
    const remedy = changes.remedy ?? { en: "Ask them.", de: "Fragen Sie sie." };
    return ownerCopy({ ...input(rest), owner, partner, remedy });
  }

  it("has the facts of the envelope, the reason and what helps", () => {
    const { whole, plain, html, recipients } = take(copied());
    expect(Object.fromEntries(whole.fields)).toMatchObject({
      To: "<olga@example.org>",
      Subject: "Mail to ACME AG is waiting",
      "Auto-Submitted": "auto-replied",
    });
    for (const text of [flat(plain), shown(html)]) {
      expect(text).toContain("You look after the partner ACME AG. A message to this partner has been waiting since 17");
      expect(text).toContain("Its sender: anna@example.org");
      expect(text).toContain("bob@acme.example");
      expect(text).toContain("offers no encryption at present");
      expect(text).toContain("the last try will be on 22 November 2026 at 07:20 UTC");
      expect(text).toContain("What helps: Ask them.");
      expect(text).toContain("starttls-not-supported (status 4.7.5)");
      expect(text).toContain("mx.acme.example offers no STARTTLS");
      expect(text).toContain("fedcba9876543210fedcba9876543210");
    }
    expect(recipients.map((one) => field(one, "Action"))).toEqual(["delayed"]);
  });

  it("tells it in German, in the language of the house and not of the message", () => {
    const header = Buffer.from("Content-Language: en\r\nSubject: Lunch\r\n\r\n");
    const notice = copied({ language: "auto", senderLanguage: "de", header });
    expect(notice.language).toBe("de");
    const { plain } = take(notice);
    expect(flat(plain)).toContain("Sie betreuen den Partner ACME AG.");
    expect(flat(plain)).toContain("Was hilft: Fragen Sie sie.");
  });

  it("has no field of the original, not even its subject", () => {
    const notice = copied();
    expect(take(notice).original).toBeUndefined();
    expect(names(take(notice).whole)).not.toContain("References");
    expect(Buffer.concat([notice.header, notice.body]).toString()).not.toMatch(/Lunch|1@example\.org/);
  });

  it("names all who wait, whatever their sender wishes to be told", () => {
    const silent = recipient("silent@acme.example", { notify: ["NEVER"] });
    expect(take(copied({ recipients: [silent] })).recipients).toHaveLength(1);
  });
});

it.each(Object.keys(english.reasons) as Reason[])("mail can wait for %s", (reason) => {
  expect(take(made({ last: { reason, detail: "" } })).recipients.map((one) => field(one, "Status"))).toEqual([
    expect.stringMatching(/^4\.\d\.\d+$/),
  ]);
});
