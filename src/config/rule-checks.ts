/** What a rule cannot mean: nothing to do, no condition, a demand that adds nothing, actions that exclude each other. */
import { isIP } from "node:net";
import type { Origin } from "../decide/policy.ts";
import type { TlsLevel } from "../mail/tls-requirement.ts";
import type { SmimePolicy } from "../mail/treatment.ts";
import { keyAt, type Located, originAt, partAt, type Path } from "./located.ts";
import type { Problems } from "./problems.ts";
import type { RuleEntry } from "./schema/rules.ts";
import { reportDeadTreatment } from "./treatment.ts";

/** Levels that add something to any other. */
const ADDS: readonly TlsLevel[] = ["encrypt", "authenticated", "verify", "secure", "dane-only"];
/** Conditions that tell messages apart; `direction` and an empty `header` do not. */
const CONDITIONS = ["sender", "from", "recipient", "subject"] as const;

interface Place {
  readonly tree: Located;
  readonly path: Path;
}

type At = (...below: readonly (string | number)[]) => Origin;

export function checkRule(problems: Problems, entry: RuleEntry, { tree, path }: Place): void {
  const at: At = (...below) => keyAt(tree, [...path, ...below]) ?? originAt(tree, [...path, ...below]);
  checkConditions(problems, entry, at);
  checkActions(problems, entry, at);
  checkDemand(problems, entry, at);
  checkHops(problems, entry, at);
  const { smime } = entry.then;
  if (smime !== undefined) reportDeadTreatment(partAt(tree, [...path, "then"]), { smime: smimeOf(smime) }, problems);
}

function checkConditions(problems: Problems, { when }: RuleEntry, at: At): void {
  const names = Object.keys(when.header ?? {});
  if (names.length === 0 && CONDITIONS.every((name) => when[name] === undefined)) {
    const remedy = 'if that is meant, write recipient: "*"';
    problems.add(at("when"), "a rule without a condition is for every message", remedy);
  }
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name.toLowerCase())) problems.add(at("when", "header", name), `${name} is written twice`, "join them");
    seen.add(name.toLowerCase());
  }
}

function checkActions(problems: Problems, { when, then }: RuleEntry, at: At): void {
  const smime = Object.keys(then.smime ?? {}).length > 0;
  const { refuse, tls, next_hop: hops, remove_subject_tag: removes } = then;
  const actions = [refuse !== undefined, tls !== undefined, smime, hops !== undefined, removes === true];
  const count = actions.filter(Boolean).length;
  if (count === 0) {
    const remedy = "write tls: {level: authenticated}, refuse: TEXT, smime, next_hop or remove_subject_tag: true";
    problems.add(at("then"), "a rule that does nothing", remedy);
  }
  if (refuse !== undefined && count > 1) {
    problems.add(at("then", "refuse"), "a message that is refused has no use for the rest", "write refuse alone");
  }
  if (removes === true && !(when.subject ?? []).some((one) => "file" in one || hasText(one.pattern))) {
    problems.add(at("then", "remove_subject_tag"), "there is no tag to remove", 'write subject: "[tag]*" below when');
  }
}

function checkDemand(problems: Problems, { then: { tls } }: RuleEntry, at: At): void {
  if (tls === undefined) return;
  const { level, min_version: version } = tls;
  if (level === "fingerprint") {
    problems.add(at("then", "tls", "level"), "a rule has no pins", "write them into the partner's file");
  } else if (!ADDS.includes(level)) {
    const remedy = `write ${ADDS.join(", ")}`;
    problems.add(at("then", "tls", "level"), `a rule only adds to what is demanded: ${level} adds nothing`, remedy);
  }
  if (version === "TLSv1" || version === "TLSv1.1") {
    problems.add(at("then", "tls", "min_version"), `${version} adds nothing`, "write TLSv1.2 or TLSv1.3");
  }
}

/** A rule can count on its own demand alone: whose policy it meets is known at each message only. */
function checkHops(problems: Problems, { then: { next_hop: hops = [], tls } }: RuleEntry, at: At): void {
  const level = tls?.level;
  for (const [index, { to, auth }] of hops.entries()) {
    const here = at("then", "next_hop", index);
    const isAddress = to.kind === "host" && isIP(to.host) !== 0;
    if (auth !== undefined && (level === undefined || !ADDS.includes(level) || level === "encrypt")) {
      const remedy = "write tls: {level: authenticated} beside it";
      problems.add(here, "auth would hand the password to anybody", remedy);
    } else if (isAddress && level !== undefined && level !== "encrypt" && ADDS.includes(level)) {
      problems.add(here, `at level ${level} an address has no name to prove`, "write its host name");
    }
  }
}

function hasText(glob: string): boolean {
  return /[^*?]/.test(glob);
}

export function smimeOf({ sign, encrypt, format, triple_wrap: tripleWrap }: NonNullable<RuleEntry["then"]["smime"]>) {
  const stated: Partial<SmimePolicy> = {
    ...(sign && { sign }),
    ...(encrypt && { encrypt }),
    ...(format && { format }),
    ...(tripleWrap !== undefined && { tripleWrap }),
  };
  return stated;
}
