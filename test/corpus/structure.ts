/** Multiparts: nested, related, odd boundaries; calendars, forwarded messages, winmail.dat; reports of delivery and reading. */
import {
  base64,
  type CorpusMessage,
  head,
  lines,
  message,
  mime,
  multipart,
  noise,
  part,
  quotedPrintable,
  utf8,
} from "./build.ts";

const TEXT = part(["Content-Type: text/plain; charset=utf-8"], "Hello Bert\r\n");
const HTML = part(
  ["Content-Type: text/html; charset=utf-8", "Content-Transfer-Encoding: quoted-printable"],
  quotedPrintable(utf8("<p>Grüße</p>\r\n")),
);
const IMAGE = part(
  [
    "Content-Type: image/png",
    "Content-Transfer-Encoding: base64",
    "Content-ID: <logo@example.org>",
    "Content-Disposition: inline",
  ],
  base64(noise(700)),
);
const FILE = part(
  [
    'Content-Type: application/octet-stream; name="a.bin"',
    "Content-Transfer-Encoding: base64",
    'Content-Disposition: attachment; filename="a.bin"',
  ],
  base64(noise(2000)),
);
const INNER = lines(
  "From: c@third.example",
  "Subject: inner",
  "Message-ID: <inner@third.example>",
  "Received: from a.third.example by b.third.example; Tue, 24 Nov 2026 08:00:00 +0000",
  "",
  "inner text",
);
const ICS = lines(
  "BEGIN:VCALENDAR",
  "METHOD:REQUEST",
  "VERSION:2.0",
  "BEGIN:VEVENT",
  "UID:1@example.org",
  "ORGANIZER;CN=Anna:mailto:anna@example.org",
  "DTSTART:20261124T100000Z",
  "SUMMARY:Meeting with a very long title that has to be folded because it is",
  "  longer than 75 octets",
  "END:VEVENT",
  "END:VCALENDAR",
);

function typed(subtype: string, boundary = "b1"): string {
  return `multipart/${subtype}; boundary="${boundary}"`;
}
function nested(subtype: string, boundary: string, parts: readonly string[]): string {
  return part([`Content-Type: ${typed(subtype, boundary)}`], multipart(boundary, parts));
}

/** multipart/mixed within multipart/mixed, so deep. */
function deep(depth: number): string {
  return depth === 0 ? TEXT : nested("mixed", `level-${depth}`, [deep(depth - 1)]);
}

const mixes: readonly (readonly [string, string, string])[] = [
  ["alternative", typed("alternative"), multipart("b1", [TEXT, HTML])],
  ["mixed with attachment", typed("mixed"), multipart("b1", [TEXT, FILE])],
  ["related with inline image", 'multipart/related; type="text/html"; boundary="b1"', multipart("b1", [HTML, IMAGE])],
  ["alternative in related", typed("related"), multipart("b1", [nested("alternative", "b2", [TEXT, HTML]), IMAGE])],
  [
    "related in alternative in mixed",
    typed("mixed"),
    multipart("b1", [nested("alternative", "b2", [TEXT, nested("related", "b3", [HTML, IMAGE])]), FILE]),
  ],
  ["ten levels deep", typed("mixed", "top"), multipart("top", [deep(10)])],
  ["a hundred levels deep", typed("mixed", "top"), multipart("top", [deep(100)])],
  [
    "two hundred parts",
    typed("mixed"),
    multipart(
      "b1",
      Array.from({ length: 200 }, () => TEXT),
    ),
  ],
  ["digest", typed("digest"), multipart("b1", [`\r\n${INNER}`, `\r\n${INNER}`])],
  ["parallel", typed("parallel"), multipart("b1", [TEXT, IMAGE])],
  ["form-data", typed("form-data"), multipart("b1", [part(['Content-Disposition: form-data; name="a"'], "1")])],
  ["no parts at all", typed("mixed"), "--b1--\r\n"],
  ["one empty part", typed("mixed"), "--b1\r\n\r\n\r\n--b1--\r\n"],
  ["part without header", typed("mixed"), "--b1\r\n\r\nno header\r\n--b1--\r\n"],
  ["part without empty line", typed("mixed"), "--b1\r\nContent-Type: text/plain\r\n--b1--\r\n"],
  ["parts without line end before the boundary", typed("mixed"), "--b1\r\n\r\na\r\n--b1\r\n\r\nb--b1--\r\n"],
  [
    "preamble and epilogue",
    typed("mixed"),
    `This is a multi-part message in MIME format.\r\n\r\n${multipart("b1", [TEXT])}\r\nepilogue\r\n`,
  ],
  ["epilogue without newline", typed("mixed"), `${multipart("b1", [TEXT])}epilogue`],
  ["end boundary without newline", typed("mixed"), multipart("b1", [TEXT]).trimEnd()],
  ["missing end boundary", typed("mixed"), `--b1\r\n${TEXT}`],
  [
    "missing end of an inner multipart",
    typed("mixed"),
    `--b1\r\n${part([`Content-Type: ${typed("alternative", "b2")}`], `--b2\r\n${TEXT}`)}\r\n--b1--\r\n`,
  ],
  ["boundary that is never used", typed("mixed", "elsewhere"), multipart("b1", [TEXT])],
  ["no boundary parameter", "multipart/mixed", multipart("b1", [TEXT])],
  ["empty boundary", 'multipart/mixed; boundary=""', "--\r\n\r\nx\r\n----\r\n"],
  [
    "boundary with blanks and signs",
    typed("mixed", "=_Part (1) '+_,-./:=?"),
    multipart("=_Part (1) '+_,-./:=?", [TEXT]),
  ],
  ["boundary of 70 characters", typed("mixed", "x".repeat(70)), multipart("x".repeat(70), [TEXT])],
  ["boundary longer than allowed", typed("mixed", "y".repeat(200)), multipart("y".repeat(200), [TEXT])],
  ["boundary with quoted pairs", 'multipart/mixed; boundary="a\\"b\\\\c"', multipart('a"b\\c', [TEXT])],
  [
    "boundary without quotes",
    "multipart/mixed; boundary=----=_NextPart_000_0001",
    multipart("----=_NextPart_000_0001", [TEXT]),
  ],
  ["boundary in parts (RFC 2231)", "multipart/mixed; boundary*0=abc; boundary*1=def", multipart("abcdef", [TEXT])],
  ["boundary that ends in a blank", 'multipart/mixed; boundary="b1 "', multipart("b1", [TEXT])],
  ["boundaries with trailing blanks", typed("mixed"), "--b1 \t\r\n\r\nx\r\n--b1--  \r\n"],
  [
    "inner boundary begins like the outer one",
    typed("mixed", "abc"),
    multipart("abc", [nested("alternative", "abcd", [TEXT, HTML]), FILE]),
  ],
  [
    "outer boundary begins like the inner one",
    typed("mixed", "abcd"),
    multipart("abcd", [nested("alternative", "abc", [TEXT, HTML]), FILE]),
  ],
  ["inner boundary equals the outer one", typed("mixed"), multipart("b1", [nested("alternative", "b1", [TEXT, HTML])])],
  [
    "boundary quoted in a text",
    typed("mixed"),
    multipart("b1", [part(["Content-Type: text/plain"], " --b1\r\nx--b1\r\n")]),
  ],
  [
    "parts with odd header fields",
    typed("mixed"),
    multipart("b1", [part(["content-TYPE : text/plain", "X-Empty:", "X-Folded: a", "\tb", " c"], "x\r\n")]),
  ],
  [
    "8-bit in one part, base64 in the other",
    typed("mixed"),
    multipart("b1", [
      part(["Content-Type: text/plain; charset=iso-8859-1", "Content-Transfer-Encoding: 8bit"], "Gr\xfc\xdfe\r\n"),
      FILE,
    ]),
  ],
  [
    "8-bit deep inside",
    typed("mixed"),
    multipart("b1", [
      nested("alternative", "b2", [
        part(["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"], utf8("Grüße \r\n")),
      ]),
    ]),
  ],
  [
    "file name in RFC 2231",
    typed("mixed"),
    multipart("b1", [
      part(
        [
          "Content-Type: application/pdf",
          "Content-Transfer-Encoding: base64",
          "Content-Disposition: attachment; filename*0*=utf-8''Gr%C3%BC;",
          " filename*1*=%C3%9Fe.pdf",
        ],
        base64("x"),
      ),
    ]),
  ],
  [
    "file name as encoded word",
    typed("mixed"),
    multipart("b1", [
      part(
        ['Content-Type: application/pdf; name="=?utf-8?B?R3LDvMOfZS5wZGY=?="', "Content-Transfer-Encoding: base64"],
        base64("x"),
      ),
    ]),
  ],
  [
    "calendar request",
    typed("alternative"),
    multipart("b1", [TEXT, part(["Content-Type: text/calendar; charset=utf-8; method=REQUEST"], ICS)]),
  ],
  [
    "calendar as attachment, too",
    typed("mixed"),
    multipart("b1", [
      nested("alternative", "b2", [TEXT, part(["Content-Type: text/calendar; method=REQUEST"], ICS)]),
      part(['Content-Type: application/ics; name="invite.ics"', "Content-Transfer-Encoding: base64"], base64(ICS)),
    ]),
  ],
  [
    "vCard",
    typed("mixed"),
    multipart("b1", [
      TEXT,
      part(['Content-Type: text/vcard; name="anna.vcf"'], lines("BEGIN:VCARD", "VERSION:3.0", "FN:Anna", "END:VCARD")),
    ]),
  ],
  [
    "winmail.dat",
    typed("mixed"),
    multipart("b1", [
      TEXT,
      part(
        ['Content-Type: application/ms-tnef; name="winmail.dat"', "Content-Transfer-Encoding: base64"],
        base64(Buffer.concat([Buffer.from([0x78, 0x9f, 0x3e, 0x22]), noise(800)])),
      ),
    ]),
  ],
  [
    "forwarded as attachment",
    typed("mixed"),
    multipart("b1", [TEXT, part(["Content-Type: message/rfc822", "Content-Disposition: attachment"], INNER)]),
  ],
  [
    "forwarded three deep",
    typed("mixed"),
    multipart("b1", [
      part(
        ["Content-Type: message/rfc822"],
        lines(
          "Subject: 1",
          "MIME-Version: 1.0",
          "Content-Type: message/rfc822",
          "",
          "Subject: 2",
          "Content-Type: message/rfc822",
          "",
          "Subject: 3",
          "",
          "text",
        ),
      ),
    ]),
  ],
  [
    "forwarded 8-bit message",
    typed("mixed"),
    multipart("b1", [
      part(
        ["Content-Type: message/rfc822", "Content-Transfer-Encoding: 8bit"],
        lines("Subject: Gr\xfc\xdfe", "Content-Type: text/plain; charset=iso-8859-1", "", "Gr\xfc\xdfe"),
      ),
    ]),
  ],
  [
    "message/global",
    typed("mixed"),
    multipart("b1", [part(["Content-Type: message/global"], utf8(lines("Subject: Grüße", "", "Grüße")))]),
  ],
  [
    "forwarded message without body",
    typed("mixed"),
    multipart("b1", [part(["Content-Type: message/rfc822"], lines("Subject: only a header", ""))]),
  ],
  [
    "AppleDouble",
    typed("mixed"),
    multipart("b1", [
      nested("appledouble", "b2", [
        part(["Content-Type: application/applefile", "Content-Transfer-Encoding: base64"], base64(noise(90))),
        FILE,
      ]),
    ]),
  ],
  [
    "BinHex",
    typed("mixed"),
    multipart("b1", [
      part(
        ["Content-Type: application/mac-binhex40"],
        lines("(This file must be converted with BinHex 4.0)", "", ':$f*TEQKPH#jdCA0d,R0TG!:"'),
      ),
    ]),
  ],
  [
    "300 kB attachment",
    typed("mixed"),
    multipart("b1", [
      TEXT,
      part(["Content-Type: application/zip", "Content-Transfer-Encoding: base64"], base64(noise(300_000))),
    ]),
  ],
];

function report(type: string, fields: readonly string[], rest: string): string {
  return multipart("b1", [
    part(["Content-Type: text/plain"], "What happened, in words.\r\n"),
    part([`Content-Type: message/${type}`], lines(...fields)),
    rest,
  ]);
}
const RETURNED = part(["Content-Type: message/rfc822"], INNER);
const FIELDS = part(["Content-Type: text/rfc822-headers"], lines("Subject: inner", "From: c@third.example"));
const DSN = [
  "Reporting-MTA: dns; mail.example.org",
  "Arrival-Date: Tue, 24 Nov 2026 10:00:00 +0100",
  "",
  "Final-Recipient: rfc822; bert@acme.example",
  "Action: failed",
  "Status: 5.1.1",
  "Diagnostic-Code: smtp; 550 5.1.1 no such user",
];
const MDN = [
  "Reporting-UA: pc.example.org; Mail 1.0",
  "Final-Recipient: rfc822; anna@example.org",
  "Original-Message-ID: <inner@third.example>",
  "Disposition: manual-action/MDN-sent-manually; displayed",
];
const fromNobody = (subject: string, type: string): string[] => [
  "Date: Tue, 24 Nov 2026 10:11:12 +0100",
  "From: MAILER-DAEMON@example.org (Mail Delivery System)",
  "To: c@third.example",
  `Subject: ${subject}`,
  "Auto-Submitted: auto-replied",
  "MIME-Version: 1.0",
  `Content-Type: ${type}`,
];

const reports = [
  message(
    "failure notice with message",
    fromNobody("Undelivered", 'multipart/report; report-type=delivery-status; boundary="b1"'),
    report("delivery-status", DSN, RETURNED),
  ),
  message(
    "failure notice with header only",
    fromNobody("Undelivered", 'multipart/report; report-type=delivery-status;\r\n\tboundary="b1"'),
    report("delivery-status", DSN, FIELDS),
  ),
  message(
    "delay notice",
    fromNobody("Delayed", 'multipart/report; report-type=delivery-status; boundary="b1"'),
    report("delivery-status", [...DSN.slice(0, 4), "Action: delayed", "Status: 4.4.1"], FIELDS),
  ),
  message(
    "notice of qmail, in words only",
    fromNobody("failure notice", "text/plain"),
    lines(
      "Hi. This is the qmail-send program at example.org.",
      "<bert@acme.example>:",
      "Sorry, no mailbox here by that name. (#5.1.1)",
      "",
      "--- Below this line is a copy of the message.",
      "",
      INNER,
    ),
  ),
  message(
    "reading confirmed",
    head(
      "Read: inner",
      "MIME-Version: 1.0",
      'Content-Type: multipart/report; report-type=disposition-notification; boundary="b1"',
    ),
    report("disposition-notification", MDN, FIELDS),
  ),
  message(
    "reading confirmation asked for",
    head("please confirm", "Disposition-Notification-To: anna@example.org", "Return-Receipt-To: anna@example.org"),
    "x\r\n",
  ),
  message(
    "abuse report",
    head("abuse", "MIME-Version: 1.0", 'Content-Type: multipart/report; report-type=feedback-report; boundary="b1"'),
    report("feedback-report", ["Feedback-Type: abuse", "User-Agent: Reporter/1", "Version: 1"], RETURNED),
  ),
  message(
    "TLS report",
    head(
      "Report Domain: acme.example",
      "TLS-Report-Domain: acme.example",
      "MIME-Version: 1.0",
      'Content-Type: multipart/report; report-type=tlsrpt; boundary="b1"',
    ),
    multipart("b1", [
      TEXT,
      part(["Content-Type: application/tlsrpt+gzip", "Content-Transfer-Encoding: base64"], base64(noise(400))),
    ]),
  ),
  message(
    "out of office",
    head("Automatic reply", "Auto-Submitted: auto-replied", "X-Auto-Response-Suppress: All", "Precedence: bulk"),
    "I am away.\r\n",
  ),
];

export const structureMessages: readonly CorpusMessage[] = [
  ...mixes.map(([name, type, body]) => message(name, mime(name, type), body)),
  ...reports,
];
