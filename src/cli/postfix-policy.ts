/**
 * Reads the source of Postfix's smtp_tls_policy_maps (postconf(5), TLS_README): one destination a line, a level, and
 * attributes; lines that begin with white space go on. Pure, and strict: what it does not know is told, never guessed.
 */

export interface PostfixEntry {
  /** 1 for the first line. */
  readonly line: number;
  /** As written, lower case. */
  readonly key: string;
  readonly level: string;
  /** In order; one name may stand several times. */
  readonly attributes: readonly { readonly name: string; readonly value: string }[];
  /** Words that are no attribute. */
  readonly strange: readonly string[];
}

export function readPostfixPolicies(source: string): readonly PostfixEntry[] {
  return logicalLines(source).flatMap(({ line, text }) => {
    const [key = "", level = "", ...words] = text.split(/[\s,]+/).filter((word) => word !== "");
    if (key === "") return [];
    const attributes = words.flatMap((word) => {
      const [, name, value] = /^([a-z_]+)=(.*)$/i.exec(word) ?? [];
      return name === undefined || value === undefined ? [] : [{ name: name.toLowerCase(), value }];
    });
    const strange = words.filter((word) => !/^[a-z_]+=/i.test(word));
    return [{ line, key: key.toLowerCase(), level: level.toLowerCase(), attributes, strange }];
  });
}

/** A comment or an empty line does not end a logical line (postmap(1)). */
function logicalLines(source: string): { line: number; text: string }[] {
  const lines: { line: number; text: string }[] = [];
  for (const [index, raw] of source.split(/\r?\n/).entries()) {
    if (raw.trim() === "" || /^\s*#/.test(raw)) continue;
    const last = lines.at(-1);
    if (/^\s/.test(raw) && last !== undefined) last.text += ` ${raw.trim()}`;
    else lines.push({ line: index + 1, text: raw.trim() });
  }
  return lines;
}

/** The least version that a `protocols` attribute leaves; undefined when it leaves gaps or none. */
export function leastVersion(protocols: string): "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3" | undefined {
  const words = protocols.split(/[:;\s]+/).filter((word) => word !== "");
  const from = words.map((word) => /^>=(.+)$/.exec(word)?.[1]).find((word) => word !== undefined);
  if (words.some((word) => word.startsWith("<="))) return undefined;
  if (from !== undefined) return versionOf(from);
  const excluded = words.filter((word) => word.startsWith("!")).map((word) => versionOf(word.slice(1)));
  const included = words.filter((word) => !word.startsWith("!")).map(versionOf);
  const left = VERSIONS.filter((one) =>
    included.length > 0 ? included.includes(one) && !excluded.includes(one) : !excluded.includes(one),
  );
  const [first] = left;
  const isTail = first !== undefined && left.length === VERSIONS.length - VERSIONS.indexOf(first);
  return isTail ? first : undefined;
}

const VERSIONS = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const;

function versionOf(word: string): (typeof VERSIONS)[number] | undefined {
  return VERSIONS.find((one) => one.toLowerCase() === word.toLowerCase());
}
