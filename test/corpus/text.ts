/** One text part or none: line ends, blanks, long lines, charsets and transfer encodings, mail without MIME. */
import {
  base64,
  type CorpusMessage,
  head,
  lines,
  message,
  mime,
  noise,
  octets,
  quotedPrintable,
  utf8,
} from "./build.ts";

const HELLO = lines("Hello Bert,", "", "please find the figures below.", "", "-- ", "Anna");

/** Bodies without MIME fields: what canonicalisation and dot-stuffing go wrong with. */
const PLAIN: readonly (readonly [string, string])[] = [
  ["greeting", HELLO],
  ["empty body", ""],
  ["one empty line", "\r\n"],
  ["many empty lines", "\r\n\r\n\r\n\r\n\r\n"],
  ["empty lines at the end", `${HELLO}\r\n\r\n\r\n`],
  ["empty lines at the start", `\r\n\r\n${HELLO}`],
  ["one character", "x"],
  ["one blank", " "],
  ["one blank line", " \r\n"],
  ["only tabs and blanks", " \t \r\n\t\t\r\n  "],
  ["missing final newline", "The last line does not end"],
  ["missing final newline after blanks", "The last line ends in blanks  \t "],
  ["trailing blanks", lines("one ", "two  ", "three\t", "four \t ", "")],
  ["blanks within lines", lines("a  b   c", "a\tb\t\tc", " \t leading", "   ")],
  ["blank lines with blanks at the end", `${HELLO} \r\n\t\r\n`],
  ["lines that start with dots", lines(".", "..", "...", ".hidden", ". ", "..twice")],
  ["a dot without line end", `${HELLO}.`],
  [
    "lines that start with From",
    lines("From here on it works.", ">From quoted", "From: not a field", "From anna Tue Nov"),
  ],
  ["lines that look like fields", lines("Subject: not a field", "Received: from inside.corp", "", "X: y")],
  ["lines that look like boundaries", lines("--", "----", "--boundary", "--boundary--", "---- Original message ----")],
  ["line of 998", lines("x".repeat(998), "short")],
  ["line of 999", lines("x".repeat(999), "short")],
  ["line of 5000 without blanks", lines("y".repeat(5000))],
  ["line of 70000 with blanks", lines("word ".repeat(14_000))],
  ["200 kB on one line, no newline", "z".repeat(200_000)],
  ["many short lines", lines(...Array.from({ length: 3000 }, (_, at) => String(at)))],
  ["signature and quotes", lines("> > > old", "> > newer", "> new", "", "answer", "-- ", "Anna")],
  ["control characters", "bell\x07 back\x08 escape\x1b[31m form\x0c vertical\x0b delete\x7f\r\n"],
  ["8-bit without MIME", octets("Gr\xfc\xdfe aus K\xf6ln\r\n").toString("latin1")],
  ["broken UTF-8", "\xc3\x28 \xe2\x82 \xff\xfe \xf0\x9f\x92\r\n"],
  ["UTF-8 with byte order mark", utf8("\ufeffHello\r\n")],
  [
    "inline PGP",
    lines(
      "-----BEGIN PGP SIGNED MESSAGE-----",
      "Hash: SHA256",
      "",
      "- -- dashes",
      "text",
      "-----BEGIN PGP SIGNATURE-----",
      "",
      "iQEzBAEBCAAdFiEE",
      "-----END PGP SIGNATURE-----",
    ),
  ],
  ["uuencode", lines("begin 644 cat.txt", "#0V%T", "`", "end")],
  ["two parts glued by a gateway", `${HELLO}\r\n______________________\r\nThis mail was scanned.\r\n`],
];

/** The same few words in the octets of each charset. */
const CHARSETS: readonly (readonly [string, string])[] = [
  ["utf-8", utf8("Grüße, Łódź, Привет, 你好 😀")],
  ["us-ascii", "Hello"],
  ["iso-8859-1", "Gr\xfc\xdfe aus K\xf6ln"],
  ["iso-8859-2", "\xa3\xf3d\xbc"],
  ["iso-8859-7", "\xca\xe1\xeb\xe7\xec\xdd\xf1\xe1"],
  ["iso-8859-8-i", "\xf9\xec\xe5\xed"],
  ["iso-8859-15", "10 \xa4, \xb4\xb8"],
  ["windows-1250", "\x8c\x9c \x9f\xb3"],
  ["windows-1251", "\xcf\xf0\xe8\xe2\xe5\xf2"],
  ["windows-1252", "\x93quoted\x94 10 \x80 \x96"],
  ["windows-1256", "\xe3\xd1\xcd\xc8\xc7"],
  ["koi8-r", "\xf0\xd2\xc9\xd7\xc5\xd4"],
  ["macintosh", "Gr\x9f\xa7e"],
  ["ibm850", "Gr\x81\xe1e"],
  ["iso-2022-jp", "\x1b$B$3$s$K$A$O\x1b(B"],
  ["shift_jis", "\x82\xb1\x82\xf1\x82\xc9\x82\xbf\x82\xcd \x83\x5c"],
  ["euc-jp", "\xa4\xb3\xa4\xf3\xa4\xcb\xa4\xc1\xa4\xcf"],
  ["gb18030", "\xc4\xe3\xba\xc3 \x81\x30\x84\x36"],
  ["big5", "\xa7\x41\xa6\x6e"],
  ["euc-kr", "\xbe\xc8\xb3\xe7"],
  ["tis-620", "\xca\xc7\xd1\xca\xb4\xd5"],
  ["utf-7", "Gr+APwA3w-e"],
  ["x-unknown", "\x80\x81\x82\xfe\xff"],
];

const ENCODINGS: readonly (readonly [string, (text: string) => string])[] = [
  ["8bit", (text) => text],
  ["quoted-printable", quotedPrintable],
  ["base64", base64],
];

const inCharsets = CHARSETS.flatMap(([charset, text]) =>
  ENCODINGS.map(([encoding, encode]) =>
    message(
      `${charset} as ${encoding}`,
      mime(`${charset} ${encoding}`, `text/plain; charset=${charset}`, `Content-Transfer-Encoding: ${encoding}`),
      encode(lines(text, "", `${text} `, "-- ", text)),
    ),
  ),
);

/** Transfer encodings as they are written by programs that do not read RFC 2045. */
const ENCODED: readonly (readonly [string, string, string])[] = [
  ["base64 on one line", "base64", `${noise(600).toString("base64")}\r\n`],
  ["base64 in lines of 60", "BASE64", base64(noise(500), 60)],
  ["base64 with blanks and junk", "base64", "SGVs bG8s\r\n\r\n  IHdvcmxk\t\r\n!!!\r\n=\r\n"],
  ["base64 without padding", "base64", "SGVsbG8\r\n"],
  ["base64 padded in the middle", "base64", "SGVsbG8=\r\nV29ybGQ=\r\n"],
  ["base64 without final newline", "base64", "SGVsbG8="],
  ["base64, empty", "base64", ""],
  ["quoted-printable with soft breaks only", "quoted-printable", "a=\r\nb=\r\nc=\r\n"],
  ["quoted-printable in lower case", "quoted-printable", "Gr=fc=df=\r\ne =e2=82=ac\r\n"],
  ["quoted-printable with broken escapes", "quoted-printable", "=ZZ = =3 =\r\n=C3\r\n100% =\r\n"],
  ["quoted-printable with trailing blanks", "Quoted-Printable", "ends in blanks  \r\nand soft =20\r\n= \r\n"],
  ["quoted-printable with 8-bit octets", "quoted-printable", "Gr\xfc=DFe\r\n"],
  ["quoted-printable without final newline", "quoted-printable", "no end="],
  ["7bit that is 8-bit", "7bit", "Gr\xfc\xdfe\r\n"],
  ["binary with long line", "binary", "\x80\x81 ".repeat(700)],
  ["unknown encoding", "x-uuencode", lines("begin 644 a", "#0V%T", "`", "end")],
  ["encoding with comment", "7bit (plain)", HELLO],
  ["empty encoding", "", HELLO],
];

const encoded = ENCODED.map(([name, encoding, body]) =>
  message(name, mime(name, "text/plain; charset=utf-8", `Content-Transfer-Encoding: ${encoding}`), body),
);

/** yEnc as in news gateways: almost every octet value, lines of 128, CR, LF and NUL escaped. */
function yenc(): string {
  const escaped = [...noise(3000)].map((byte) => {
    const value = (byte + 42) & 0xff;
    return [0, 10, 13, 61].includes(value)
      ? `=${String.fromCharCode((value + 64) & 0xff)}`
      : String.fromCharCode(value);
  });
  const rows = Array.from({ length: Math.ceil(escaped.length / 128) }, (_, at) =>
    escaped.slice(at * 128, at * 128 + 128).join(""),
  );
  return lines("=ybegin line=128 size=3000 name=data.bin", ...rows, "=yend size=3000");
}

const FLOWED = lines(
  "This paragraph is flowed and goes on ",
  "in the next line, up to here.",
  " space-stuffed",
  "> quoted and ",
  "> flowed",
  "-- ",
  "Anna",
);

const single = [
  message(
    "text/html only",
    mime("html", "text/html; charset=utf-8"),
    lines("<html><body>", '<p style="x">Hello</p>', "</body></html>"),
  ),
  message("format=flowed", mime("flowed", "text/plain; charset=utf-8; format=flowed"), FLOWED),
  message(
    "format=flowed with DelSp",
    mime("delsp", 'text/plain; charset="utf-8"; format="flowed"; delsp="yes"'),
    FLOWED,
  ),
  message("yEnc", mime("yenc", "text/plain; charset=iso-8859-1", "Content-Transfer-Encoding: 8bit"), yenc()),
  message(
    "a PDF and nothing else",
    mime(
      "pdf",
      'application/pdf; name="a.pdf"',
      "Content-Transfer-Encoding: base64",
      'Content-Disposition: attachment; filename="a.pdf"',
    ),
    base64(noise(5000)),
  ),
  message(
    "an image and nothing else",
    mime("png", "image/png", "Content-Transfer-Encoding: base64"),
    base64(noise(900)),
  ),
  message(
    "a fax as TIFF",
    mime("fax", 'image/tiff; name="FAX_20261124.TIF"', "Content-Transfer-Encoding: base64", "X-Fax-Pages: 2"),
    base64(noise(4000)),
  ),
  message(
    "Content-Type without MIME-Version",
    head("no version", "Content-Type: text/plain; charset=iso-8859-1"),
    "Gr\xfc\xdfe\r\n",
  ),
  message("MIME-Version without Content-Type", head("no type", "MIME-Version: 1.0"), HELLO),
  message("unreadable Content-Type", mime("broken type", ';;charset=="utf-8'), HELLO),
  message("empty Content-Type", mime("empty type", ""), HELLO),
  message("type without subtype", mime("text", "text"), HELLO),
  message(
    "markdown",
    mime("markdown", "text/markdown; variant=GFM; charset=UTF-8"),
    lines("# Title", "", "* a  ", "* b"),
  ),
  message("two Content-Type fields", mime("two types", "text/plain", "Content-Type: text/html"), HELLO),
  message(
    "message/partial",
    mime("partial", 'message/partial; id="a@example.org"; number=1; total=2'),
    lines("Subject: inner", "", "first half"),
  ),
  message(
    "message/external-body",
    mime("external", 'message/external-body; access-type=URL; URL="https://example.org/a"'),
    lines("Content-Type: text/plain", "", ""),
  ),
];

export const textMessages: readonly CorpusMessage[] = [
  ...PLAIN.map(([name, body]) => message(name, head(name), body)),
  ...inCharsets,
  ...encoded,
  ...single,
];
