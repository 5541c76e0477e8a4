/**
 * Takes the words out of a subject that people wrote for the gateway (`remove_subject_tag`). What is plain stays octet for
 * octet but for the tag; a subject of encoded-words is decoded and encoded anew (RFC 2047).
 */
import { decodeWords } from "../mail/encoded-words.ts";
import { type Field, fieldText } from "./header-block.ts";

/** The same buffer when no tag stands in it. */
export function withoutTags(field: Field, tags: readonly string[]): Buffer {
  const octets = Buffer.from(fieldText(field), "latin1").toString("utf8");
  const decoded = decodeWords(octets).normalize("NFC").trim();
  let text = decoded;
  for (const tag of tags) text = without(text, tag.normalize("NFC"));
  if (text === decoded) return field.raw;
  return Buffer.from(`${field.name}: ${isPlain(text) ? text : encoded(text)}\r\n`);
}

/** Once, with the blanks behind it. */
function without(text: string, tag: string): string {
  const at = text.toLowerCase().indexOf(tag.toLowerCase());
  return at < 0 ? text : `${text.slice(0, at)}${text.slice(at + tag.length).trimStart()}`.trim();
}

/** Fits one line as it is (RFC 5322 §2.1.1), and nothing in it would be taken for an encoded-word. */
function isPlain(text: string): boolean {
  return text.length <= 900 && /^[\x20-\x7e]*$/.test(text) && !text.includes("=?");
}

const START = "=?utf-8?B?";
/** Octets of text in one encoded-word: it has at most 75 characters (RFC 2047 §2). */
const MOST_OCTETS = 45;

/** Never cuts a character in two (RFC 2047 §5). */
function encoded(text: string): string {
  const words: string[] = [];
  let word = "";
  for (const letter of text) {
    if (Buffer.byteLength(word + letter) > MOST_OCTETS) {
      words.push(word);
      word = "";
    }
    word += letter;
  }
  return [...words, word].map((each) => `${START}${Buffer.from(each).toString("base64")}?=`).join("\r\n ");
}
