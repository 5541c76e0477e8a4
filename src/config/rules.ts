/** `rules` of sealpost.yaml to plain data: patterns read from their files, and what cannot be meant is refused. */
import type { Policy, Rule } from "../decide/policy.ts";
import type { SmimePolicy } from "../mail/treatment.ts";
import type { TlsLevel } from "../mail/tls-requirement.ts";
import type { Building } from "./building.ts";
import { keyAt, type Located, originAt, type Path } from "./located.ts";
import { buildNextHop } from "./outbound-policy.ts";
import type { Globs, RuleEntry } from "./schema/rules.ts";

/** Levels that add something to any other. */
const ADDS: readonly TlsLevel[] = ["encrypt", "authenticated", "verify", "secure", "dane-only"];

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
  const header = when.header && Object.entries(when.header);
  const fields = header?.map(([name, globs]) => [name.toLowerCase(), read(globs, "header", name) ?? []] as const);
  checkActions(building, entry, tree, path);
  const { tls, refuse, smime, next_hop: hops } = then;
  return {
    name: entry.name,
    when: {
      ...(sender && { sender }),
      ...(from && { from }),
      ...(recipient && { recipient }),
      ...(subject && { subject }),
      ...(fields && { header: Object.fromEntries(fields) }),
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

function smimeOf({ sign, encrypt, format, triple_wrap: tripleWrap }: NonNullable<RuleEntry["then"]["smime"]>) {
  const stated: Partial<SmimePolicy> = {
    ...(sign && { sign }),
    ...(encrypt && { encrypt }),
    ...(format && { format }),
    ...(tripleWrap !== undefined && { tripleWrap }),
  };
  return stated;
}

/** One pattern a line; `#` begins a comment. */
function readGlobs(building: Building, globs: Globs, tree: Located, path: Path): readonly string[] {
  return globs.flatMap((one, index) => {
    if ("pattern" in one) return [one.pattern];
    const at = originAt(tree, [...path, index]);
    const lines = (building.access.text(at, one.file) ?? "").split(/\r?\n/).map((line) => line.trim());
    const patterns = lines.filter((line) => line !== "" && !line.startsWith("#"));
    const bad = patterns.find((line) => line.length > 1_000 || line.split("*").length > 21);
    if (bad !== undefined) {
      building.problems.add(at, `${one.file} has a pattern that is too long, or has more than 20 *`, "shorten it");
    }
    return patterns;
  });
}

function checkActions({ problems }: Building, { when, then }: RuleEntry, tree: Located, path: Path): void {
  const at = (...below: string[]) => keyAt(tree, [...path, ...below]) ?? originAt(tree, path);
  const actions = Object.keys(then).filter((key) => key !== "content_filter");
  if (actions.length === 0) {
    const remedy = "write tls: {level: authenticated}, refuse: TEXT, smime, next_hop or remove_subject_tag: true";
    problems.add(at("then"), "a rule that does nothing", remedy);
  }
  if (Object.keys(when).length === 0) {
    problems.add(
      at("when"),
      "a rule without a condition is for every message",
      'if that is meant, write recipient: "*"',
    );
  }
  if (then.refuse !== undefined && actions.length > 1) {
    problems.add(at("then", "refuse"), "a message that is refused has no use for the rest", "write refuse alone");
  }
  const level = then.tls?.level;
  if (level === "fingerprint") {
    problems.add(at("then", "tls", "level"), "a rule has no pins", "write them into the partner's file");
  } else if (level !== undefined && !ADDS.includes(level)) {
    const remedy = `write ${ADDS.join(", ")}`;
    problems.add(at("then", "tls", "level"), `a rule only adds to what is demanded: ${level} adds nothing`, remedy);
  }
  if (then.remove_subject_tag === true && !(when.subject ?? []).some((one) => "file" in one || hasText(one.pattern))) {
    const remedy = 'write subject: "[tag]*" below when';
    problems.add(at("then", "remove_subject_tag"), "there is no tag to remove", remedy);
  }
  if (then.next_hop?.some(({ auth }) => auth !== undefined) === true && (level === undefined || level === "encrypt")) {
    const remedy = "write tls: {level: authenticated} beside it";
    problems.add(at("then", "next_hop"), "auth would hand the password to anybody", remedy);
  }
  const gateway = then.next_hop?.findIndex(({ to }) => to.kind === "mx") ?? -1;
  if (gateway >= 0 && (then.next_hop?.length ?? 0) === 1) {
    problems.add(at("then", "next_hop"), "next_hop: mx sends nothing another way", 'write "[host]:port"');
  }
}

function hasText(glob: string): boolean {
  return /[^*?]/.test(glob);
}
