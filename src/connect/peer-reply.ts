/**
 * Reads replies of a peer (RFC 5321 §4.2). Their text is untrusted: control characters go, length is bounded.
 * Never decides what a reply means for a message; deliver/ does.
 */
import type { PeerReply } from "../mail/outcome.ts";

const LONGEST_TEXT = 1_000;

/** `raw` is one whole reply, its lines joined by LF. Undefined when it does not begin with a code. */
export function parseReply(raw: string): PeerReply | undefined {
  const code = Number(/^[2-5]\d\d(?=[ \n-]|$)/.exec(raw)?.[0]);
  if (Number.isNaN(code)) return undefined;
  const lines = raw.split("\n").map((line) => line.slice(4));
  // Every line of a reply carries the enhanced code (RFC 2034 §4); it is told once.
  const enhancedCode = /^[245]\.\d{1,3}\.\d{1,3}(?= |$)/.exec(lines[0] ?? "")?.[0];
  const bare =
    enhancedCode === undefined
      ? lines
      : lines.map((line) => (line.startsWith(enhancedCode) ? line.slice(enhancedCode.length) : line));
  const text = bare
    .map((line) => line.replace(/[\x00-\x1f\x7f-\x9f]/g, " ").trim())
    .filter((line) => line !== "")
    .join(" ");
  return { code, ...(enhancedCode !== undefined && { enhancedCode }), text: text.slice(0, LONGEST_TEXT) };
}

/** What an EHLO reply offers (RFC 5321 §4.1.1.1): keywords in upper case, with their parameters. */
export function parseEhlo(raw: string): ReadonlyMap<string, string> {
  const offered = new Map<string, string>();
  for (const line of raw.split("\n").slice(1)) {
    const [, keyword = "", parameters = ""] = /^([^ =]+)(?:[ =](.*))?$/.exec(line.slice(4).trim()) ?? [];
    if (keyword !== "") offered.set(keyword.toUpperCase(), parameters);
  }
  return offered;
}

/** RFC 1870 §3: the largest message; undefined when no limit is told (0 means none). */
export function maxSizeOf(offered: ReadonlyMap<string, string>): number | undefined {
  const size = /^\d{1,15}$/.exec(offered.get("SIZE")?.trim() ?? "")?.[0];
  return size === undefined || Number(size) === 0 ? undefined : Number(size);
}
