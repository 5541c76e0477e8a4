import { describe, expect, it } from "vitest";
import type { Recipient } from "../../../src/mail/envelope.ts";
import { type Delivered, reachedKind, reachedNotice } from "../../../src/notify/reached-notice.ts";
import { facts, flat, present, recipient, shown, take } from "./notice-rig.ts";
import { field, names } from "./read-notice.ts";

const TAKEN = { code: 250, enhancedCode: "2.6.0", text: "Queued mail for delivery" };

function reached(more: Partial<Recipient> = {}, over: Partial<Delivered> = {}): Delivered {
  return { recipient: recipient("bob@acme.example", more), smtp: TAKEN, dsnPassedOn: false, ...over };
}

type Changes = Parameters<typeof facts>[0] & { readonly delivered?: readonly Delivered[] };

const input = (kind: "delivered" | "relayed", { delivered = [reached()], ...changes }: Changes = {}) => ({
  ...facts(changes),
  kind,
  delivered,
});
const made = (...of: Parameters<typeof input>) => present(reachedNotice(input(...of)));

describe("who is told that the next host has it", () => {
  it.each<[string, Recipient["notify"], boolean, boolean, "delivered" | "relayed" | undefined]>([
    ["who asked, where the host tells nothing [RFC 3461 §5.2.2]", ["SUCCESS"], false, false, "relayed"],
    ["not who asked, where the host tells it itself [RFC 3461 §5.2.1]", ["SUCCESS"], true, false, undefined],
    ["nobody who has not asked", undefined, false, false, undefined],
    ["nobody who wants to hear of failure alone", ["FAILURE"], false, false, undefined],
    ["who was told that it waits", undefined, false, true, "delivered"],
    ["who was told so because he asked", ["DELAY"], false, true, "delivered"],
    ["who was told so, whatever the host does", undefined, true, true, "delivered"],
    ["who was told so and asked for more, once", ["SUCCESS", "DELAY"], false, true, "delivered"],
    ["who asked for success alone, as if nothing had waited", ["SUCCESS"], false, true, "relayed"],
    ["nobody who was not told that it waits", ["FAILURE"], false, true, undefined],
    ["nobody who wants to hear nothing [RFC 3461 §4.1]", ["NEVER"], false, true, undefined],
  ])("%s", (_, notify, dsnPassedOn, wasDelayed, expected) => {
    const one = reached(notify && { notify }, { dsnPassedOn });
    expect(reachedKind(one, wasDelayed)).toBe(expected);
  });
});

describe("a notice of what was passed on", () => {
  it("says so of each recipient [RFC 3464 §2.3.3]", () => {
    const bob = reached({ orcpt: "rfc822;Bob@Acme.example" }, { remoteMta: "mx.acme.example" });
    const eve = { ...reached({}, { smtp: { code: 250, text: "ok" } }), recipient: recipient("eve@acme.example") };
    const notice = made("relayed", { delivered: [bob, eve], envid: "QQ314159" });
    const { message, recipients } = take(notice);
    expect(field(message, "Original-Envelope-Id")).toBe("QQ314159");
    expect(recipients.map(({ fields }) => fields)).toEqual([
      [
        ["Original-Recipient", "rfc822; Bob@Acme.example"],
        ["Final-Recipient", "rfc822; bob@acme.example"],
        ["Action", "relayed"],
        ["Status", "2.6.0"],
        ["Remote-MTA", "dns; mx.acme.example"],
        ["Diagnostic-Code", "smtp; 250 2.6.0 Queued mail for delivery"],
        ["Last-Attempt-Date", "Wed, 18 Nov 2026 11:06:40 +0000"],
      ],
      expect.arrayContaining([
        ["Status", "2.0.0"],
        ["Diagnostic-Code", "smtp; 250 ok"],
      ]),
    ]);
  });

  it("tells people in English", () => {
    const { whole, plain, html } = take(
      made("relayed", { delivered: [reached({}, { remoteMta: "mx.acme.example" })] }),
    );
    expect(field(whole, "Subject")).toBe("Passed on: your message to acme.example");
    for (const text of [flat(plain), shown(html)]) {
      expect(text).toContain('what becomes of your message "Lunch" of 17 November 2026 at 07:20 UTC');
      expect(text).toContain("bob@acme.example");
      expect(text).toContain("The mail system mx.acme.example has taken it over. It does not report any further");
    }
  });

  it("tells people in German", () => {
    const { plain, html } = take(made("relayed", { language: "de" }));
    for (const text of [flat(plain), shown(html)]) {
      expect(text).toContain("Sie wollten wissen, was aus Ihrer Nachricht „Lunch“ vom 17. November 2026");
      expect(text).toContain("Das Mailsystem acme.example hat sie übernommen. Es meldet nichts weiter");
    }
  });
});

describe("a notice of what was delivered after all", () => {
  it("tells people in English", () => {
    const { whole, plain, html, original } = take(made("delivered"));
    expect(field(whole, "Subject")).toBe("Delivered after all: your message to acme.example");
    expect(original).toContain("Subject: Lunch");
    for (const text of [flat(plain), shown(html)]) {
      expect(text).toContain('You were told that your message "Lunch" of 17 November 2026 at 07:20 UTC was delayed.');
      expect(text).toContain("It has gone through now.");
      expect(text).toContain("bob@acme.example");
    }
  });

  it("tells people in German", () => {
    const { plain, html } = take(made("delivered", { language: "de" }));
    for (const text of [flat(plain), shown(html)]) {
      expect(text).toContain("dass Ihre Nachricht „Lunch“ vom 17. November 2026 um 07:20 UTC verzögert ist.");
      expect(text).toContain("Jetzt ist sie durchgegangen.");
    }
  });

  it("is as silent about the message as it demanded protection [RFC 8689 §5]", () => {
    const notice = made("delivered", { requireTls: true });
    const { whole, original } = take(notice);
    expect(original).toBeUndefined();
    expect(names(whole)).not.toContain("References");
    expect(notice.body.toString()).not.toContain("Lunch");
  });
});

it.each<[string, Changes]>([
  ["of the null sender", { sender: null }],
  ["that is a notice", { ownNotice: true }],
  ["that reached nobody", { delivered: [] }],
])("none is made for mail %s", (_, changes) => {
  for (const kind of ["delivered", "relayed"] as const) expect(reachedNotice(input(kind, changes))).toBeUndefined();
});
