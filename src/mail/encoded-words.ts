/** Reads RFC 2047 encoded-words, for showing a subject to people. What cannot be decoded stays as it is. */

const ENCODED_WORD = /=\?([A-Za-z0-9_.:-]{1,40})(?:\*[A-Za-z0-9-]{1,20})?\?([BbQq])\?([!->@-~]{0,2000})\?=/g;

export function decodeWords(text: string): string {
  // RFC 2047 §6.2: white space between two encoded-words is not shown.
  return text.replace(/\?=[ \t]+(?==\?)/g, "?=").replace(ENCODED_WORD, decodeWord);
}

function decodeWord(word: string, charset: string, encoding: string, content: string): string {
  const octets =
    encoding.toUpperCase() === "B" ? Buffer.from(content, "base64") : Buffer.from(unquote(content), "latin1");
  try {
    return new TextDecoder(charset).decode(octets);
  } catch {
    return word; // a charset that nobody knows
  }
}

/** RFC 2047 §4.2 */
function unquote(content: string): string {
  return content
    .replaceAll("_", " ")
    .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
