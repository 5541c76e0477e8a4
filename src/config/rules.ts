/** `rules` of sealpost.yaml to plain data: patterns read from their files, and what cannot be meant is refused. */
import type { Policy, Rule } from "../decide/policy.ts";
import type { Building } from "./building.ts";
import { buildNextHop } from "./hops.ts";
import { type Located, originAt, type Path } from "./located.ts";
import { checkRule, smimeOf } from "./rule-checks.ts";
import { type Globs, parseGlob, type RuleEntry } from "./schema/rules.ts";

export function buildRules(building: Building, entries: readonly RuleEntry[], tree: Located): Policy["rules"] {
  const names = new Set<string>();
  return entries.map((entry, index) => {
    const path = ["rules", index];
    if (names.has(entry.name)) {
      const at = originAt(tree, [...path, "name"]);
      building.problems.add(at, "two rules of one name", "give each its own: the log and the queue know it by that");
    }
    names.add(entry.name);
    return buildRule(building, entry, tree, path);
  });
}

function buildRule(building: Building, entry: RuleEntry, tree: Located, path: Path): Rule {
  const { when, then } = entry;
  const read = (globs: Globs | undefined, ...below: string[]) =>
    globs && readGlobs(building, globs, tree, [...path, "when", ...below]);
  const sender = read(when.sender, "sender")?.map((glob) => (glob === "<>" ? "" : glob));
  const from = read(when.from, "from");
  const recipient = read(when.recipient, "recipient");
  const subject = read(when.subject, "subject");
  const fields = Object.entries(when.header ?? {}).map(
    ([name, globs]) => [name.toLowerCase(), read(globs, "header", name) ?? []] as const,
  );
  checkRule(building.problems, entry, { tree, path });
  const { tls, refuse, smime, next_hop: hops } = then;
  return {
    name: entry.name,
    when: {
      ...(sender && { sender }),
      ...(from && { from }),
      ...(recipient && { recipient }),
      ...(subject && { subject }),
      ...(fields.length > 0 && { header: Object.fromEntries(fields) }),
      ...(when.direction && { direction: when.direction }),
    },
    effects: {
      ...(tls && { tls: { level: tls.level, ...(tls.min_version && { minVersion: tls.min_version }) } }),
      ...(refuse !== undefined && { refuse }),
      ...(smime && { smime: smimeOf(smime) }),
      ...(hops && { nextHop: buildNextHop(building, hops, tree, [...path, "then", "next_hop"]) }),
      ...(then.remove_subject_tag === true && { removeSubjectTag: true }),
    },
    origin: originAt(tree, path),
  };
}

/** Patterns, and those in files: one a line, `#` begins a comment. */
function readGlobs(building: Building, globs: Globs, tree: Located, path: Path): readonly string[] {
  return globs.flatMap((one, index) => {
    if ("pattern" in one) return [one.pattern];
    const at = originAt(tree, [...path, index]);
    const text = building.access.text(at, one.file);
    if (text === undefined) return [];
    const file = building.access.absolute(at, one.file);
    const found = text.split("\n").flatMap((line, row) => {
      const written = line.trim();
      if (written === "" || written.startsWith("#")) return [];
      const parsed = parseGlob(written);
      if (typeof parsed === "string") return [parsed];
      building.problems.add({ file, line: row + 1, column: 1 }, parsed.message, parsed.remedy);
      return [];
    });
    if (found.length > 0) return found;
    building.problems.warn(at, `${one.file} holds no pattern: nothing matches it`, "write one pattern a line");
    return [];
  });
}
