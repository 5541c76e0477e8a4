/**
 * The one maker of header lines in notices, and what cleans text of others before it comes near one.
 * A line end, or anything else that could start a second line, never passes.
 */

/** Longest line wished for, and longest allowed (RFC 5322 §2.1.1). */
const LINE = 78;
/** Octets of text in one encoded-word: base64 of 42 and `=?UTF-8?B?…?=` stay below 75 (RFC 2047 §2). */
const WORD_OCTETS = 42;

/**
 * `Name: value` with CRLF, folded at spaces; letters outside ASCII become encoded-words (RFC 2047).
 * `utf8` leaves them as they are, for addresses in a message that goes as SMTPUTF8 (RFC 6532 §3.2).
 * Throws on CR, LF and NUL: text of others has to be cleaned before, and forgetting that is a defect.
 */
export function headerLine(name: string, value: string, utf8 = false): string {
  if (!/^[!-9;-~]+$/.test(name)) throw new TypeError("not a header field name");
  if (/[\r\n\0]/.test(value)) throw new TypeError(`line end in header field ${name}`);
  const text = !utf8 && /[^\x20-\x7e]/.test(value) ? encodedWords(value) : value;
  return `${fold(`${name}: ${text}`)}\r\n`;
}

function encodedWords(value: string): string {
  const words: string[] = [];
  let word = "";
  for (const letter of value) {
    if (Buffer.byteLength(word + letter) > WORD_OCTETS) {
      words.push(word);
      word = "";
    }
    word += letter;
  }
  return [...words, word].map((text) => `=?UTF-8?B?${Buffer.from(text).toString("base64")}?=`).join(" ");
}

/** Breaks before single spaces only, so that no line consists of white space (RFC 5322 §3.2.2). */
function fold(line: string): string {
  const lines: string[] = [];
  let current = "";
  for (const word of line.split(/(?<=[^ ]) (?=[^ ])/)) {
    const full = current.length + 1 + word.length > LINE;
    if (full && current !== "" && !isName(current)) {
      lines.push(current);
      current = word;
    } else current = current === "" ? word : `${current} ${word}`;
  }
  return [...lines, current].join("\r\n ");
}

/** A first line of nothing but the field's name is not wanted. */
function isName(text: string): boolean {
  return text.endsWith(":") && !text.includes(" ");
}

/** Text of a peer as printable ASCII on one line: everything else is shown as `?`, white space becomes one space. */
export function printable(text: string, most: number): string {
  const start = text.slice(0, most * 2);
  const clean = start
    .replace(/[\s\0]+/g, " ")
    .replace(/[^\x20-\x7e]+/g, "?")
    .trim();
  return clean.length > most || text.length > start.length ? `${clean.slice(0, most)}...` : clean;
}

/** Text for people with its letters kept: control and direction marks and line ends do not pass. */
export function visible(text: string, most: number): string {
  const clean = text
    .slice(0, most)
    .toWellFormed()
    .replace(/[\p{C}\p{Zl}\p{Zp}\s]+/gu, " ");
  return clean.trim();
}

/** RFC 5322 §3.3, in UTC. */
export function mailDate(at: number): string {
  return new Date(at).toUTCString().replace("GMT", "+0000");
}
