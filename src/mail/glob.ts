/**
 * Patterns of rules and of permitted senders: `*` for any text, `?` for one character, in any case and however letters with
 * accents are composed. Never goes back behind a `*`, so it is quick.
 */

export function matchesGlob(pattern: string, text: string): boolean {
  const whole = folded(text);
  const [first = "", ...rest] = folded(pattern).split("*");
  const last = rest.pop();
  if (last === undefined) return whole.length === first.length && fits(first, whole, 0);
  if (!fits(first, whole, 0)) return false;
  let at = first.length;
  for (const segment of rest) {
    const found = find(segment, whole, at);
    if (found < 0) return false;
    at = found + segment.length;
  }
  const end = whole.length - last.length;
  return end >= at && fits(last, whole, end);
}

function folded(text: string): string {
  return text.normalize("NFC").toLowerCase();
}

/** Where a part without `*` stands first; the leftmost leaves the most for the rest. */
function find(segment: string, text: string, from: number): number {
  if (!segment.includes("?")) return text.indexOf(segment, from);
  for (let at = from; at + segment.length <= text.length; at += 1) if (fits(segment, text, at)) return at;
  return -1;
}

function fits(segment: string, text: string, at: number): boolean {
  if (at + segment.length > text.length) return false;
  if (!segment.includes("?")) return text.startsWith(segment, at);
  for (let index = 0; index < segment.length; index += 1) {
    if (segment[index] !== "?" && segment[index] !== text[at + index]) return false;
  }
  return true;
}

/** The first text that stands in it: what `remove_subject_tag` takes out. */
export function literalOf(pattern: string): string {
  return pattern.split(/[*?]/).find((text) => text.trim() !== "") ?? "";
}
