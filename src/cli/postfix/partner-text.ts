/** A partner file as text: what it was made of as comments, and the exception to complete where mail went with less. */
import { printable } from "../text.ts";
import type { PartnerDraft } from "./arrange.ts";
import type { TlsKeys } from "./demand.ts";

export interface Naming {
  /** Of the policy table. */
  readonly table: string;
  /** YYYY-MM-DD, for the exception. */
  readonly until: string;
}

export function partnerText(draft: PartnerDraft, { table, until }: Naming): string {
  const { demand, domains, nextHop, sources } = draft;
  const lines = sources.map(({ line, text }) => `# ${comment(table)}:${line}: ${comment(text)}`);
  lines.push(...demand.notes.map((note) => `# ${comment(note)}.`));
  if (demand.verdict === "closed") {
    lines.push("# Nothing is sent until this is completed: no certificate has the fingerprint below.");
  }
  lines.push(`domains: [${domains.map(quoted).join(", ")}]`);
  const tls = tlsLines(demand.tls);
  if (tls.length + nextHop.length > 0) lines.push("outbound:");
  if (nextHop.length > 0) lines.push(`  next_hop: ${list(nextHop)}`);
  if (tls.length > 0) lines.push("  tls:", ...tls.map((line) => `    ${line}`));
  if (demand.exception !== undefined) {
    const flow = tlsLines(demand.exception).join(", ");
    lines.push(
      "# For a while, as before: complete this, and remove the #",
      "# exceptions:",
      `#   - {until: ${until}, approved_by: YOU@YOUR.DOMAIN, reason: "WHY", outbound: {tls: {${flow}}}}`,
    );
  }
  return `${lines.join("\n")}\n`;
}

function tlsLines(tls: TlsKeys): string[] {
  const { level, dane, match, ca, fingerprints, min_version: version, ciphers, servername } = tls;
  return [
    ...(level === undefined ? [] : [`level: ${level}`]),
    ...(dane === undefined ? [] : [`dane: ${dane}`]),
    ...(match === undefined ? [] : [`match: ${list(match)}`]),
    ...(ca === undefined ? [] : [`ca: ${list(ca)}`]),
    ...(fingerprints === undefined
      ? []
      : ["fingerprints:", ...fingerprints.map(({ sha256, of }) => `  - {sha256: "${sha256}", of: ${of}}`)]),
    ...(version === undefined ? [] : [`min_version: ${version}`]),
    ...(ciphers === undefined ? [] : [`ciphers: ${quoted(ciphers)}`]),
    ...(servername === undefined ? [] : [`servername: ${quoted(servername)}`]),
  ];
}

function list(values: readonly string[]): string {
  return `[${values.map(quoted).join(", ")}]`;
}

/** Plain where YAML reads it as the text it is. `${` would be taken from the environment. */
function quoted(text: string): string {
  if (/^\.?[a-z][a-z0-9.-]*$/.test(text) && !/^(?:true|false|null|yes|no|on|off|y|n)$/.test(text)) return text;
  const json = JSON.stringify(text).replaceAll(
    /[\u007f-\u009f\u2028\u2029\ufeff]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return json.replaceAll("${", "$$${");
}

function comment(text: string): string {
  const safe = printable(text);
  return safe.length > 300 ? `${safe.slice(0, 299)}…` : safe;
}
