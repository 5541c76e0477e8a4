/**
 * Reads an MTA-STS policy (RFC 8461 §3.2), exactly by its grammar.
 * Pure; its time grows with the length of what it reads, whatever stands in it.
 */
import type { StsMode, StsPolicy } from "../mail/sts-policy.ts";

export type ReadPolicy =
  | { readonly ok: true; readonly policy: StsPolicy }
  | { readonly ok: false; readonly detail: string };

/** RFC 8461 §3.3 */
export const MOST_POLICY_OCTETS = 64 * 1024;
/** RFC 8461 §3.2: about a year. */
const LONGEST_SECONDS = 31_557_600;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function readPolicy(octets: Uint8Array): ReadPolicy {
  if (octets.length > MOST_POLICY_OCTETS) return invalid(`it is longer than ${MOST_POLICY_OCTETS} octets`);
  const text = decoded(octets);
  if (text === undefined) return invalid("it is no UTF-8");
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop(); // the terminator of the last line
  const fields = new Map<string, string[]>();
  for (const [index, line] of lines.entries()) {
    const field = readField(line.endsWith("\r") ? line.slice(0, -1) : line);
    if (field === undefined) return invalid(`line ${index + 1} is no field`);
    const values = fields.get(field.name) ?? [];
    values.push(field.value);
    fields.set(field.name, values);
  }
  return policyOf(fields);
}

/** Other fields than these are ignored, and of one that is there twice the first counts (RFC 8461 §3.2). */
function policyOf(fields: ReadonlyMap<string, readonly string[]>): ReadPolicy {
  const first = (name: string): string => fields.get(name)?.[0] ?? "";
  if (first("version") !== "STSv1") return invalid("its version is not STSv1");
  const mode = first("mode");
  if (!isMode(mode)) return invalid("its mode is none of enforce, testing, none");
  const maxAge = first("max_age");
  if (!/^[0-9]{1,10}$/.test(maxAge)) return invalid("its max_age is no number");
  const maxAgeSeconds = Number(maxAge);
  if (maxAgeSeconds > LONGEST_SECONDS) return invalid(`its max_age is over ${LONGEST_SECONDS}`);
  const mx = (fields.get("mx") ?? []).map((pattern) => pattern.toLowerCase());
  const wrong = mx.findIndex((pattern) => !isPattern(pattern));
  if (wrong >= 0) return invalid(`its mx number ${wrong + 1} is no host name`);
  if (mx.length === 0 && mode !== "none") return invalid("it names no mx");
  return { ok: true, policy: { mode, mx: [...new Set(mx)], maxAgeSeconds } };
}

function decoded(octets: Uint8Array): string | undefined {
  try {
    return UTF8.decode(octets);
  } catch {
    return undefined;
  }
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/;
const VALUE = /^[^\x00-\x1f\x7f]+$/;

function readField(line: string): { readonly name: string; readonly value: string } | undefined {
  const colon = line.indexOf(":");
  const name = line.slice(0, Math.max(colon, 0));
  let [start, end] = [colon + 1, line.length];
  while (start < end && isSpace(line[start])) start += 1;
  while (end > start && isSpace(line[end - 1])) end -= 1;
  const value = line.slice(start, end);
  return NAME.test(name) && VALUE.test(value) ? { name, value } : undefined;
}

function isSpace(char: string | undefined): boolean {
  return char === " " || char === "\t";
}

function isMode(text: string): text is StsMode {
  return text === "enforce" || text === "testing" || text === "none";
}

/** `["*."] Domain` (RFC 5321 §4.1.2): letters, digits and hyphens, as A-labels. */
function isPattern(pattern: string): boolean {
  const domain = pattern.startsWith("*.") ? pattern.slice(2) : pattern;
  return domain.length <= 253 && domain.split(".").every((label) => LABEL.test(label));
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

function invalid(detail: string): ReadPolicy {
  return { ok: false, detail };
}
