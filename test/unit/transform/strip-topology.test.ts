import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildTreatment } from "../../../src/config/treatment.ts";
import type { HeaderPolicy } from "../../../src/mail/treatment.ts";
import { parseHeader } from "../../../src/transform/header-block.ts";
import { DEFAULT_REMOVE } from "../../../src/transform/leaking-fields.ts";
import { createMessageIds } from "../../../src/transform/message-ids.ts";
import { ownSide } from "../../../src/transform/own-side.ts";
import { withoutOwnSignatures, withoutSignaturesOfOwnSide } from "../../../src/transform/own-signatures.ts";
import { type EditContext, editHeader, type HeaderEdit } from "../../../src/transform/strip-topology.ts";
import { messages } from "../../corpus/messages.ts";
import { EXCHANGE, INSIDE_RECEIVED, OUTSIDE_RECEIVED, POSTFIX } from "../../corpus/traces.ts";

const OURS =
  "Received: by relay.example.org (sealpost) with ESMTPS id 1 (hop 2);\r\n\tTue, 24 Nov 2026 09:11:13 +0000\r\n";
const messageIds = createMessageIds(Buffer.alloc(32, 1), "example.org");
const context: EditContext = {
  own: ownSide({
    hostname: "relay.example.org",
    domains: ["example.org"],
    isClientAddress: (ip) => ip === "203.0.113.77",
  }),
  isOurs: true,
  covered: new Set(),
  publicSigners: new Set(),
  received: Buffer.from(OURS),
  messageIds,
};
/** What `headers: strip` is, which is what applies where nothing is written. */
const STRIP: HeaderPolicy = buildTreatment({}).headers;
const KEEP: HeaderPolicy = { received: "keep", remove: [], messageId: "keep" };

const block = (...lines: readonly string[]): Buffer => Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
function edit(
  lines: readonly string[],
  policy: Partial<HeaderPolicy> = {},
  over: Partial<EditContext> = {},
): HeaderEdit {
  return editHeader(block(...lines), { ...KEEP, ...policy }, { ...context, ...over });
}
/** The block behind our own field. */
const rest = ({ header }: HeaderEdit): string => {
  expect(header.toString("latin1").startsWith(OURS)).toBe(true);
  return header.toString("latin1", OURS.length, header.length - 2);
};
const text = (...lines: readonly string[]): string => lines.map((line) => `${line}\r\n`).join("");

describe("of a message of the inside", () => {
  // Names, addresses, users, programs and ids that stand in those headers and are nobody's business outside.
  const TELLING =
    /corp|intern\b|intern\.|exch|mailout|webmail|pc-anna|abeispiel|userid|localhost|\b10\.|172\.16|192\.168|127\.0|fe80|gw1|amavis|postfix|thunderbird|rcube|1000:|4XyZ|0A1B2C|15\.2|15\.02|SMEX|hosted|11111111|6d4bb1a6|spam|internal ca|score=/i;
  const said =
    /^(?:From|To|Subject|Date|MIME-Version|Content-\S+|Thread-\S+|Accept-Language|X-MS-\S+|Message-ID|References):/;

  const signed = [
    "DKIM-Signature: v=1; a=rsa-sha256; d=exch01.corp.local; s=s; h=from; bh=x; b=x",
    "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=example.org; s=s; b=x",
    "ARC-Message-Signature: i=1; a=rsa-sha256; d=example.org; s=s; h=from; bh=x; b=x",
    "ARC-Authentication-Results: i=1; exch01.corp.local; dkim=none",
    "References: <a@acme.example> <b@pc-anna> <c@example.org>",
  ];
  it.each([
    ["Exchange", [...signed, ...EXCHANGE]],
    ["Postfix, Amavis and webmail", [...signed, ...POSTFIX]],
  ])("as %s writes it nothing of the inside is left with strip", (_, lines) => {
    expect(lines.join("\r\n")).toMatch(TELLING);
    const left = rest(edit(lines, STRIP));
    expect(left).not.toMatch(TELLING);
    expect(left).not.toContain("Received:");
    const fields = parseHeader(Buffer.from(left, "latin1")).map(({ raw }) => raw.toString("latin1"));
    expect(fields.filter((field) => !said.test(field))).toEqual([]);
    expect(fields.length).toBeGreaterThanOrEqual(8);
  });
  it.each([
    ["Exchange", EXCHANGE, 2],
    ["Postfix, Amavis and webmail", POSTFIX, 5],
  ])("as %s writes it only times and protocols are left with anonymize", (_, lines, hops) => {
    const left = rest(edit(lines, { ...STRIP, received: "anonymize" }));
    expect(left).not.toMatch(TELLING);
    const form =
      /^Received: (?:from hidden\.invalid )?by hidden\.invalid(?: with E?SMTPS?A?)?;\r\n\tTue, 24 Nov 2026 10:11:1\d \+0100\r\n$/;
    const received = parseHeader(Buffer.from(left, "latin1")).filter(({ name }) => name === "Received");
    expect(received).toHaveLength(hops);
    for (const { raw } of received) expect(raw.toString("latin1")).toMatch(form);
  });
  it.each(INSIDE_RECEIVED)("a Received field goes or is made anonymous: %s", (_, lines) => {
    const fields = [...lines, "Subject: x"];
    expect(rest(edit(fields, { received: "strip" })).replace(/^X-.*\r\n/, "")).toBe(text("Subject: x"));
    const left = rest(edit(fields, { received: "anonymize" })).replace(/^X-.*\r\n/, "");
    expect(left).toMatch(
      /^(?:Received: (?:from hidden\.invalid )?by hidden\.invalid(?: with \w+)?;\r\n\t[\w, :+-]+\r\n)Subject: x\r\n$/,
    );
  });
});

describe("Received fields", () => {
  const inside = INSIDE_RECEIVED.flatMap(([, lines]) => lines);
  const outside = OUTSIDE_RECEIVED.flatMap(([, lines]) => lines);
  it("of others stay as they are, and so do those below them", () => {
    expect(rest(edit([...outside, ...inside], { received: "strip" }))).toBe(text(...outside, ...inside));
  });
  it("of ours go although others' fields stand between them", () => {
    const lines = ["Received: from pc1 by a.corp; x", "Subject: s", "Received: from pc2 by b.corp; x", "To: t"];
    expect(rest(edit(lines, { received: "strip" }))).toBe(text("Subject: s", "To: t"));
  });
  it("stay all with keep", () => {
    expect(rest(edit(inside))).toBe(text(...inside));
  });
  it.each([
    ["keeps a registered protocol", "from a by b with UTF8SMTPSA id 1; 1 Jan 26 10:11 GMT", undefined],
    [
      "keeps the date without its comment",
      "from a by b with esmtpsa id 1; Tue, 24 Nov 2026 10:11:12 +0100 (CET)",
      "from hidden.invalid by hidden.invalid with ESMTPSA;\r\n\tTue, 24 Nov 2026 10:11:12 +0100",
    ],
    [
      "reads Exchange's protocol",
      "from a by b with Microsoft SMTP Server (TLS) id 1; Tue, 24 Nov 2026 10:11:12 +0100",
      "from hidden.invalid by hidden.invalid with ESMTPS;\r\n\tTue, 24 Nov 2026 10:11:12 +0100",
    ],
    [
      "reads Exchange's protocol in clear",
      "from a by b with Microsoft SMTP Server id 1; Tue, 24 Nov 2026 10:11:12 +0100",
      "from hidden.invalid by hidden.invalid with ESMTP;\r\n\tTue, 24 Nov 2026 10:11:12 +0100",
    ],
    [
      "leaves out what it does not know",
      "from a by b with mapi id 1; 24 Nov 2026 09:11 GMT",
      "from hidden.invalid by hidden.invalid;\r\n\t24 Nov 2026 09:11 GMT",
    ],
    [
      "has no from where there was none",
      "by b (Postfix, from userid 33) id 1; 24 Nov 2026 09:11:12 -0000",
      "by hidden.invalid;\r\n\t24 Nov 2026 09:11:12 -0000",
    ],
    ["goes without a date that can be read", "from a by b; yesterday at pc1", undefined],
    ["takes no text from behind the date", "from a by b; 24 Nov 2026 09:11:12 +0100pc1", undefined],
  ])("anonymised: %s", (_, value, expected) => {
    expect(rest(edit([`Received: ${value}`], { received: "anonymize" }))).toBe(
      expected === undefined ? "" : `Received: ${expected}\r\n`,
    );
  });
  it("anonymised have that form or are none, whatever they were", () => {
    const piece = fc.constantFrom(
      "from ",
      "by ",
      "with ",
      "ESMTPS ",
      "(",
      ")",
      ";",
      '"',
      "\\",
      "[10.1.1.1]",
      " 24 Nov 2026 10:11 GMT",
      "pc1.corp ",
      "\r\n ",
      "é",
    );
    const form =
      /^(?:Received: (?:from hidden\.invalid )?by hidden\.invalid(?: with \w+)?;\r\n\t[\w ,:+-]+\r\n)?Subject: s\r\n$/;
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const left = rest(edit([`Received: from pc1 ${pieces.join("")}`, "Subject: s"], { received: "anonymize" }));
        expect(left).toMatch(form);
      }),
      { numRuns: 200 },
    );
  });
  it("that were anonymised before are known again", () => {
    const once = edit(POSTFIX, { received: "anonymize" });
    expect(rest(edit([rest(once).trimEnd()], { received: "anonymize" }))).toBe(rest(once));
    expect(rest(edit([rest(once).trimEnd()], { received: "strip" }))).not.toContain("Received");
  });
});

describe("fields that leak", () => {
  it.each([
    "X-Originating-IP",
    "x-originating-ip",
    "X-ORIGINATING-Email",
    "X-Mailer",
    "User-Agent",
    "X-MimeOLE",
    "X-ClientProxiedBy",
    "X-MS-Exchange-Organization-AuthSource",
    "X-MS-Exchange-CrossTenant-Id",
    "X-MS-Exchange-Transport-Forked",
    "X-MS-Exchange-Forest-RulesExecuted",
    "X-Forefront-Antispam-Report",
    "X-Microsoft-Antispam",
    "X-MS-Office365-Filtering-HT",
    "X-CrossPremisesHeadersFilteredBySendConnector",
    "X-OrganizationHeadersPreserved",
    "X-MIMETrack",
    "X-KeepSent",
    "X-Virus-Scanned",
    "X-Spam-Status",
    "X-Spamd-Bar",
    "X-Spam",
    "X-Rspamd-Server",
    "X-Amavis-Alert",
    "X-MailScanner-ID",
    "X-PHP-Originating-Script",
    "X-PHP-Script",
    "X-Source-Args",
    "X-AntiAbuse",
    "X-Get-Message-Sender-Via",
    "X-Authenticated-Sender",
    "X-Sender",
    "X-Mozilla-Status",
    "X-Identity-Key",
    "X-Cron-Env",
    "X-Barracuda-Connect",
    "X-ASG-Debug-ID",
    "X-Proofpoint-GUID",
    "X-Mimecast-Originator",
    "X-MC-Unique",
    "X-IronPort-AV",
    "IronPort-SDR",
    "X-FEAS-Client-IP",
    "X-FE-Policy-ID",
    "X-KSE-ServerInfo",
    "X-TM-AS-Result",
    "X-TMASE-Version",
    "X-SASI-RCODE",
    "X-PMWin-Version",
    "Delivered-To",
    "X-Original-To",
    "Envelope-To",
    "Return-Path",
  ])("%s goes, folded lines and all", (name) => {
    const found = edit(["To: t", `${name}: inside`, "\tfolded", " more", "Subject: s"], { remove: DEFAULT_REMOVE });
    expect(rest(found)).toBe(text("To: t", "Subject: s"));
    expect(found.removed.map((field) => field.raw.toString())).toEqual([text(`${name}: inside`, "\tfolded", " more")]);
  });
  it.each([
    "From",
    "To",
    "Cc",
    "Reply-To",
    "Sender",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Language",
    "Importance",
    "Priority",
    "X-Priority",
    "X-MSMail-Priority",
    "Sensitivity",
    "Keywords",
    "Expires",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Precedence",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "Thread-Index",
    "Thread-Topic",
    "X-MS-TNEF-Correlator",
    "X-MS-Has-Attach",
    "X-MS-Exchange-Inbox-Rules-Loop",
    "DKIM-Signature",
    "ARC-Seal",
    "ARC-Message-Signature",
    "ARC-Authentication-Results",
    "Autocrypt",
    "Disposition-Notification-To",
    "Errors-To",
    "Organization",
    "TLS-Required",
    "X-Loop",
    "X-Mailman-Version",
    "X-Custom",
    "X-Spa",
    "Received-Foo",
    "Resent-From",
  ])("%s stays", (name) => {
    expect(rest(edit([`${name}: d=third.example; h=a`], { remove: DEFAULT_REMOVE }))).toBe(
      text(`${name}: d=third.example; h=a`),
    );
  });
  it.each([
    ["Authentication-Results", "mx.corp.example.org; spf=pass", "mx.third.example; spf=pass"],
    [
      "Received-SPF",
      "Pass (mx.example.org: ok) receiver=mx.example.org",
      "Pass (mx.third.example: ok) client-ip=192.0.2.1",
    ],
  ])("%s goes where a host of ours wrote it", (name, ours, other) => {
    expect(rest(edit([`${name}: ${ours}`, `${name}: ${other}`], { remove: DEFAULT_REMOVE }))).toBe(
      text(`${name}: ${other}`),
    );
    expect(rest(edit([`${name}: ${ours}`]))).toBe(text(`${name}: ${ours}`));
  });
  it("are those of the policy and no others", () => {
    const lines = ["X-A: 1", "x-ab: 2", "X-B: 3", "User-Agent: 4"];
    expect(rest(edit(lines, { remove: ["x-a"] }))).toBe(text("x-ab: 2", "X-B: 3", "User-Agent: 4"));
    expect(rest(edit(lines, { remove: ["x-a*"] }))).toBe(text("X-B: 3", "User-Agent: 4"));
  });
});

describe("who got a blind copy [RFC 5322 §3.6.3]", () => {
  const lines = ["To: t", "Bcc: eve@third.example,", "\tcarla@example.org", "resent-bcc : x@y.example", "Subject: s"];
  it.each<[string, Partial<HeaderPolicy>]>([
    ["keep", KEEP],
    ["a list without default", { remove: ["x-foo"] }],
    ["strip", STRIP],
  ])("is in no copy of our own mail with %s, though another's valid signature covers it", (_, policy) => {
    const found = edit(lines, policy, { covered: new Set(["bcc", "resent-bcc"]) });
    expect(rest(found)).toBe(text("To: t", "Subject: s"));
    expect(found.removed.map(({ name }) => name)).toEqual(["Bcc", "resent-bcc"]);
    expect(found.kept).toEqual([]);
  });
  it("stays in mail that passes through", () => {
    expect(rest(edit(lines, STRIP, { isOurs: false }))).toBe(text(...lines));
  });
});

describe("what is left alone", () => {
  it("is every field of mail that only passes through, but for ours on top", () => {
    for (const lines of [EXCHANGE, POSTFIX]) {
      const found = edit(lines, STRIP, { isOurs: false });
      expect(rest(found)).toBe(text(...lines));
      expect(found).toMatchObject({ removed: [], changed: [], kept: [] });
    }
  });
  it("are fields that another domain's valid signature covers, and that is told", () => {
    const lines = [
      "X-Mailer: a",
      "User-Agent: b",
      "X-Mailer: c",
      "Message-ID: <a@pc.corp>",
      "Subject: s",
      "Received: from pc by gw; x",
    ];
    const found = edit(lines, STRIP, { covered: new Set(["x-mailer", "message-id", "subject"]) });
    expect(rest(found)).toBe(text("X-Mailer: a", "X-Mailer: c", "Message-ID: <a@pc.corp>", "Subject: s"));
    expect(found.kept).toEqual([
      { name: "X-Mailer", why: "a valid DKIM signature of another domain covers it" },
      { name: "Message-ID", why: "a valid DKIM signature of another domain covers it" },
    ]);
  });
  it("is everything, octet for octet and in order, that is not told as removed or changed, for the corpus", () => {
    for (const { name, header } of messages)
      for (const policy of [STRIP, { ...STRIP, received: "anonymize" } as const, KEEP]) {
        const found = editHeader(header, policy, context);
        const gone = new Set(found.removed.map(({ raw }) => raw));
        const changed = new Map(found.changed.map(({ before, after }) => [before, after]));
        const expected = parseHeader(header).flatMap(({ raw }) => {
          const seen = [...gone].some((one) => one.buffer === raw.buffer && one.byteOffset === raw.byteOffset);
          const to = [...changed].find(([one]) => one.byteOffset === raw.byteOffset)?.[1];
          return seen ? [] : [to ?? raw];
        });
        const whole = Buffer.concat([context.received, ...expected, Buffer.from("\r\n")]);
        expect(found.header.equals(whole), name).toBe(true);
        if (policy === KEEP && !/^(?:resent-)?bcc[ \t]*:/im.test(header.toString("latin1")))
          expect(found.header.equals(Buffer.concat([context.received, header])), name).toBe(true);
        const touched = [...found.removed, ...found.changed].map((one) => one.name.toLowerCase());
        expect(
          touched.filter((one) =>
            /^(?:from|to|cc|subject|date|sender|reply-to|mime-version|content-.*|list-.*|arc-.*)$/.test(one),
          ),
          name,
        ).toEqual([]);
        const longest = Math.max(
          ...found.header
            .toString("latin1")
            .split("\r\n")
            .map((line) => line.length),
        );
        expect(longest, name).toBeLessThanOrEqual(998);
      }
  });
  it("are the lines around what goes, for any fields", () => {
    const line = fc.constantFrom(
      "X-Mailer: a",
      "User-Agent : b",
      "To: c",
      "\tfolded",
      " x",
      "nocolon",
      "X-Spam-A:",
      "X-Sp: d",
      "Subject: \xfc",
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
        let drop = false;
        const expected = lines.filter((one, at) => {
          if (at === 0 || !/^\s/.test(one)) drop = /^(?:X-Mailer|User-Agent|X-Spam-A)/.test(one);
          return !drop;
        });
        expect(rest(edit(lines, { remove: DEFAULT_REMOVE }))).toBe(text(...expected));
      }),
      { numRuns: 200 },
    );
  });
});

describe("our own signatures [RFC 6376]", () => {
  const sign = (domain: string, covers: string): string => `DKIM-Signature: v=1; d=${domain}; s=s; h=${covers}; b=x`;
  it("go when a field they cover was edited, and stay when none was", () => {
    const good = sign("example.org", "from:subject");
    const lines = [
      sign("Example.ORG", "from:X-Mailer"),
      good,
      sign("mail.example.org", "from : x-mailer"),
      "X-Mailer: a",
      "From: b",
    ];
    expect(rest(edit(lines, { remove: ["x-mailer"] }))).toBe(text(good, "From: b"));
    expect(rest(edit(lines))).toBe(text(...lines));
  });
  it("of others stay", () => {
    const lines = [sign("third.example", "x-mailer"), sign("notexample.org", "x-mailer"), "X-Mailer: a"];
    expect(rest(edit(lines, { remove: ["x-mailer"] }))).toBe(text(...lines.slice(0, 2)));
  });
  it("go all where a later signer asks for it, and nothing else: a name below ours may be another's", () => {
    const others = [
      sign("third.example", "from"),
      sign("mail.example.org", "from"),
      "Subject: s",
      "X-DKIM: d=example.org",
    ];
    const all = [sign("example.org", "from"), ...others, "dkim-signature:v=1;d=", "\tExample.ORG.;h=a"];
    expect(withoutOwnSignatures(block(...all), ["example.org"]).equals(block(...others))).toBe(true);
  });
  it("go with all of our side where the body was changed", () => {
    const others = [sign("third.example", "from"), "Subject: s"];
    const all = [sign("example.org", "from"), sign("mail.example.org", "from"), sign("pc.corp", "from"), ...others];
    expect(withoutSignaturesOfOwnSide(block(...all), context.own).equals(block(...others))).toBe(true);
  });
  it("of a name below ours stay while they hold: everybody's DNS knows it", () => {
    const lines = [sign("letters.example.org", "from"), sign("exch01.example.org", "from"), "From: b"];
    const publicSigners = new Set(["letters.example.org"]);
    expect(rest(edit(lines, STRIP, { publicSigners }))).toBe(text(lines[0]!, "From: b"));
    const broken = [sign("letters.example.org", "from:x-mailer"), "X-Mailer: a"];
    expect(rest(edit(broken, STRIP, { publicSigners }))).toBe("");
  });
});

describe("signatures of inside hosts", () => {
  const set = (instance: number, domain: string, writer = domain): readonly string[] => [
    `ARC-Seal: i=${instance}; a=rsa-sha256; cv=none; d=${domain}; s=s; b=x`,
    `ARC-Message-Signature: i=${instance}; a=rsa-sha256;`,
    `\td=${domain}; s=s; h=from; bh=x; b=x`,
    `ARC-Authentication-Results: i=${instance}; ${writer} 1; spf=none; dkim=none`,
  ];
  const dkim = (domain: string): string => `DKIM-Signature: v=1; a=rsa-sha256; d=${domain}; s=s; h=from; bh=x; b=x`;
  it.each<[string, readonly string[]]>([
    ["DKIM of a name for inside use", [dkim("exch01.corp.local")]],
    ["DKIM of a single label", [dkim("exch01")]],
    ["DKIM of a name below ours that nobody knows", [dkim("EXCH01.example.org.")]],
    ["an ARC set of it", set(1, "exch01.corp.local")],
    ["an ARC set in which it says who checked", set(1, "example.org", "exch01.example.org")],
    ["an ARC set with an address", set(1, "example.org", "[10.1.1.1]")],
    ["an ARC set with a comment before the name", set(1, "example.org", "(checked by) exch01.corp")],
    ["a part of a set, without an instance", ["ARC-Seal: a=rsa-sha256; d=pc.corp; b=x"]],
  ])("go: %s", (_, lines) => {
    expect(rest(edit([...lines, "From: a"], { remove: ["x-foo"] }))).toBe(text("From: a"));
    expect(rest(edit([...lines, "From: a"]))).toBe(text(...lines, "From: a"));
    expect(rest(edit([...lines, "From: a"], STRIP, { isOurs: false }))).toBe(text(...lines, "From: a"));
  });
  it.each<[string, readonly string[]]>([
    ["DKIM of our domain", [dkim("example.org")]],
    ["DKIM of the gateway", [dkim("relay.example.org")]],
    ["ARC of our domain", set(1, "example.org")],
    ["ARC of others", set(1, "third.example")],
    ["ARC of others without an instance", ["ARC-Seal: d=third.example; b=x"]],
  ])("are none, and stay: %s", (_, lines) => {
    expect(rest(edit([...lines, "From: a"], STRIP))).toBe(text(...lines, "From: a"));
  });
  it("go by sets: those of others beside them stay", () => {
    const lines = [...set(2, "third.example"), ...set(1, "example.org", "exch01.corp.local"), "From: a"];
    expect(rest(edit(lines, STRIP))).toBe(text(...set(2, "third.example"), "From: a"));
  });
});
