/** Messages that damage shows in, and what a mailbox holds of them. */

/** Dots at line starts, blanks at line ends, 8-bit text, a line beyond 998 octets, blank lines at the end. LF line ends. */
export function awkwardMessage(marker: string, to: string): Buffer {
  const lines = [
    "From: Anna =?utf-8?q?M=C3=BCller?= <anna@own.test>",
    `To: ${to}`,
    `Subject: ${marker} with a folded`,
    "\tsecond line, and  two  blanks",
    `Message-ID: <${marker}@own.test>`,
    "Date: Mon, 01 Jun 2026 10:00:00 +0200",
    "x-odd-CASE:no blank after the colon",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
    "",
    ".",
    "..",
    ".a dot first",
    "From the start of a line",
    "Grüße aus Köln, ½ — 漢字 🙂",
    "blanks at the end   \t ",
    "",
    "x".repeat(1_900),
    `\u0001\u0007\u001b[31m\u007f ${marker}`,
    "",
    "",
  ];
  return Buffer.from(`${lines.join("\n")}\n`);
}

/** Fields that a mail system on the way may put on top. */
const TRACE = /^(?:Received|Return-Path|X-Original-To|Delivered-To):[^\n]*\n(?:[ \t][^\n]*\n)*/i;

/** The message without the trace fields on top of it, and those fields. */
export function withoutTrace(message: Buffer): { trace: string[]; content: Buffer } {
  let text = message.toString("latin1");
  const trace: string[] = [];
  for (let field = TRACE.exec(text); field !== null; field = TRACE.exec(text)) {
    trace.push(field[0]);
    text = text.slice(field[0].length);
  }
  return { trace, content: Buffer.from(text, "latin1") };
}
