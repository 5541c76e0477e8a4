/** Header blocks that a careful reader must still leave as they are: folding, case, 8-bit, duplicates, nothing at all. */
import { type CorpusMessage, head, lines, message, utf8 } from "./build.ts";

const TEXT = lines("x");
const ids = (count: number, domain: string): string[] =>
  Array.from({ length: count }, (_, at) => ` <${String(at).padStart(6, "0")}.abcdef@${domain}>`);

const ODD: readonly (readonly [string, readonly string[]])[] = [
  ["no fields at all", []],
  ["From only", ["From: anna@example.org"]],
  ["no From", ["Subject: nobody", "To: bert@acme.example"]],
  ["no Date, no Message-ID", ["From: anna@example.org", "To: bert@acme.example", "Subject: few"]],
  ["no Subject", ["From: anna@example.org", "To: bert@acme.example", "Date: Tue, 24 Nov 2026 10:11:12 +0100"]],
  ["empty values", [...head("empty"), "X-A:", "X-B: ", "X-C:\t", "Cc:", "Reply-To:", "References:"]],
  ["field name alone, then folded", [...head("alone"), "X-A:", " b", "X-C:", "\t", " d"]],
  ["continuation of blanks only", [...head("blanks"), "X-A: b", " ", "\t ", "X-C: d"]],
  [
    "folded everywhere",
    ["From:", " Anna", "\tBeispiel", "  <anna@example.org>", "Subject:", "\ta", "\tb", "To:", " bert@acme.example"],
  ],
  ["folded with tabs and many blanks", [...head("tabs"), "X-A: a", "\t\t\tb", "          c"]],
  ["blank before the colon", ["From : anna@example.org", "Subject\t: x", "To \t : bert@acme.example"]],
  ["no blank after the colon", ["From:anna@example.org", "Subject:x", "To:bert@acme.example"]],
  ["upper case", ["FROM: ANNA@EXAMPLE.ORG", "SUBJECT: X", "TO: BERT@ACME.EXAMPLE", "MESSAGE-ID: <A@EXAMPLE.ORG>"]],
  ["lower case", ["from: anna@example.org", "subject: x", "to: bert@acme.example", "message-id: <a@example.org>"]],
  ["mixed case", ["fRoM: anna@example.org", "sUBJECT: x", "x-MaIlEr: y", "user-AGENT: z"]],
  [
    "odd characters in names",
    [...head("names"), "X_A: 1", "X.B: 2", "X/C: 3", "!#$%&'*+-^_`{|}~: 4", "1: 5", "(: 6", "<x>: 7"],
  ],
  [
    "names that begin like others",
    [...head("alike"), "X-Mail: 1", "X-Mailers: 2", "Receive: 3", "Received-By: 4", "Subjects: 5", "X-Spa: 6"],
  ],
  ["8-bit in Latin-1", ["From: J\xf6rg <anna@example.org>", "Subject: Gr\xfc\xdfe", "To: bert@acme.example"]],
  [
    "8-bit in UTF-8",
    [`From: ${utf8("Jörg <anna@example.org>")}`, `Subject: ${utf8("Grüße 😀 你好")}`, "To: bert@acme.example"],
  ],
  ["8-bit, broken UTF-8", [...head("broken"), "X-A: \xc3\x28 \xff\xfe", "\t\xf0\x9f"]],
  ["8-bit address", [`From: ${utf8("jörg@grüße.example")}`, `To: ${utf8("用户@例え.テスト")}`, "Subject: SMTPUTF8"]],
  ["no-break blank where a blank should be", [...head("nbsp"), "X-A:\xa0b", "X-B: c\xa0"]],
  ["control characters", [...head("controls"), "X-A: \x01\x02\x07\x1b[31m\x7f", "X-B: \x0b\x0c"]],
  ["encoded words", [...head("encoded"), "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= =?utf-8?B?IGF1cyBLw7Zsbg==?="]],
  [
    "encoded words, folded and split in a character",
    [...head("split"), "X-A: =?utf-8?B?R3LD?=", " =?utf-8?B?vMOfZQ==?=", "\t=?iso-2022-jp?B?GyRCJDMbKEI=?="],
  ],
  ["encoded words that are none", [...head("none"), "X-A: =?utf-8?Q?a b?= =?x?= =?utf-8?X?y?= =??Q??="]],
  ["encoded word with language", [...head("language"), "X-A: =?us-ascii*en?Q?Keith_Moore?="]],
  [
    "groups",
    [
      "From: anna@example.org",
      "To: undisclosed-recipients:;",
      "Cc: Team: a@example.org, b@example.org;, c@acme.example",
      "Subject: groups",
    ],
  ],
  [
    "comments and quotes",
    [
      'From: (boss) "Beispiel, Anna \\"A.\\"" (a (b) c) <anna@example.org> (d)',
      "To: bert@acme.example (Bert (x\\) y))",
      'Subject: "quoted" (not a comment)',
    ],
  ],
  [
    "addresses with routes and quotes",
    ["From: <@a.example,@b.example:anna@example.org>", 'To: "b c"@acme.example, bert@[192.0.2.1]', "Subject: old"],
  ],
  ["two From fields", ["From: anna@example.org", "From: eve@third.example", "Subject: two"]],
  ["two authors", ["From: anna@example.org, carla@example.org", "Sender: anna@example.org", "Subject: authors"]],
  ["two of everything", [...head("a"), ...head("b")]],
  ["the same field thirty times", [...head("thirty"), ...Array.from({ length: 30 }, (_, at) => `X-A: ${at}`)]],
  ["a thousand fields", [...head("thousand"), ...Array.from({ length: 1000 }, (_, at) => `X-F${at}: ${at}`)]],
  ["1900 lines in one field", [...head("long field"), "X-A:", ...Array.from({ length: 1900 }, (_, at) => ` ${at}`)]],
  ["line of 998", [...head("998"), `X-A: ${"x".repeat(993)}`]],
  ["continuation of 998", [...head("998 folded"), "X-A:", ` ${"y".repeat(997)}`]],
  ["blanks at the ends of lines", [...head("ends "), "X-A: b  ", "\tc \t", "X-B:   "]],
  ["folded in the middle of a word", [...head("word"), "X-A: wo", " rd", "Content-Type: text/pl", " ain"]],
  [
    "huge References",
    [
      ...head("references"),
      "In-Reply-To: <000499.abcdef@pc1.corp.example.org>",
      "References:",
      ...ids(250, "pc1.corp.example.org"),
      ...ids(250, "third.example"),
    ],
  ],
  ["References on one line", [...head("one line"), `References:${ids(20, "pc1.corp.example.org").join("")}`]],
  [
    "References without brackets, with phrases",
    [
      ...head("phrases"),
      'In-Reply-To: Your message of "Mon" <a@x.example> (b)',
      "References: a@b.example <c@d.example><e@f.example>,<g@h.example>",
    ],
  ],
  [
    "References with broken ids",
    [...head("broken ids"), "References: <a b@c.example> <> <@> <x <y@z.example> <unclosed@z.example"],
  ],
  [
    "Message-ID folded",
    [
      "From: anna@example.org",
      "Message-ID:",
      " <verylong.0123456789abcdef0123456789abcdef0123456789abcdef@example.org>",
      "Subject: id",
    ],
  ],
  ["Message-ID without domain", ["From: anna@example.org", "Message-ID: <12345>", "Subject: id"]],
  ["Message-ID without brackets", ["From: anna@example.org", "Message-ID: 12345@pc1.corp.example.org", "Subject: id"]],
  ["Message-ID with quotes and literal", ["From: anna@example.org", 'Message-ID: <"a b"@[10.1.2.3]>', "Subject: id"]],
  [
    "Message-ID with comment",
    ["From: anna@example.org", "Message-ID: (c) <a@pc1.corp.example.org> (added by relay)", "Subject: id"],
  ],
  ["Message-ID of 900 octets", ["From: anna@example.org", `Message-ID: <${"m".repeat(880)}@pc.corp>`, "Subject: id"]],
  [
    "two Message-ID fields",
    ["From: anna@example.org", "Message-ID: <a@pc1.corp.example.org>", "Message-ID: <b@third.example>", "Subject: ids"],
  ],
  [
    "dates of all kinds",
    [
      "From: anna@example.org",
      "Date: 24 Nov 26 10:11 GMT",
      "Date: Tue Nov 24 10:11:12 2026",
      "Date: 2026-11-24T10:11:12Z",
      "Subject: dates",
    ],
  ],
  ["Received without anything", ["Received:", "Received: ;", "Received: x", ...head("received")]],
  [
    "Received that is broken",
    ["Received: from ((( by ", '\t)))) "', "Received: by by by from from;;;", ...head("broken received")],
  ],
  ["mbox line", [">From: anna x", ...head("mbox")]],
  [
    "X-Face and other blobs",
    [
      ...head("blobs"),
      "X-Face: \"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
      "\t!9$%",
      `Face: ${"iVBORw0KGgo".repeat(80)}`,
      "Openpgp: id=ABC; url=https://example.org/k",
    ],
  ],
];

export const oddHeaderMessages: readonly CorpusMessage[] = ODD.map(([name, header]) =>
  message(`header: ${name}`, header, TEXT),
);
