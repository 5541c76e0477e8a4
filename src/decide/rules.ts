/**
 * Which rules a message matches, and what they ask (contract section 6). Pure. Conditions of a rule are AND, entries of
 * a list OR; all that match apply. An author who cannot be read with certainty matches, but only to be strict: what
 * such a rule would lower stays as it is.
 */
import type { MatchedRule, MessageDemands } from "../mail/demands.ts";
import { decodeWords } from "../mail/encoded-words.ts";
import type { Recipient } from "../mail/envelope.ts";
import { fromMailboxes } from "../mail/from-field.ts";
import { literalOf, matchesGlob } from "../mail/glob.ts";
import { fieldValues } from "../mail/header-field.ts";
import { formatDomain, formatMailbox, type Mailbox } from "../mail/mailbox.ts";
import type { SmimePolicy, Treatment } from "../mail/treatment.ts";
import type { Policy, Rule } from "./policy.ts";

export interface RuledMessage {
  readonly header: Buffer;
  readonly reversePath: Mailbox | null;
  readonly recipients: readonly Recipient[];
}

interface Match {
  readonly rule: Rule;
  /** Of the recipients that it matched. */
  readonly positions: ReadonlySet<number>;
  /** Whether each condition was seen to hold. */
  readonly isCertain: boolean;
  /** What `remove_subject_tag` takes out. */
  readonly tag?: string;
}

export interface Ruled {
  /** The message is refused: the rule's name and its sentence. */
  readonly refused?: { readonly rule: string; readonly text: string };
  /** Absent: the message demands nothing. */
  readonly demands?: MessageDemands;
  /** A recipient's treatment with what the rules say of it. */
  readonly treatment: (position: number, policy: Treatment) => Treatment;
}

export function applyRules({ rules, ownDomains }: Pick<Policy, "rules" | "ownDomains">, message: RuledMessage): Ruled {
  const matches = rules.length === 0 ? [] : rules.flatMap((rule) => matchOf(rule, message) ?? []);
  const [refused] = matches.flatMap(({ rule: { name, effects } }) =>
    effects.refuse === undefined ? [] : [{ rule: name, text: effects.refuse }],
  );
  const demands: MessageDemands = {
    ...(wishesNoTls(message.header) && { tlsRequiredNo: true }),
    ...(isFromAlias(ownDomains, message) && { alias: true }),
    ...(matches.length > 0 && { rules: matches.map((match) => matched(match, message)) }),
  };
  return {
    ...(refused && { refused }),
    ...(Object.keys(demands).length > 0 && { demands }),
    treatment: (position, policy) =>
      ruledTreatment(
        matches.filter(({ positions }) => positions.has(position)),
        policy,
      ),
  };
}

/** Those that mail to this recipient can match, whatever else they ask of it. */
export function rulesAbout(rules: readonly Rule[], recipient: Mailbox): readonly Rule[] {
  return rules.filter(({ when }) => when.direction !== "inbound" && isAny(when.recipient, [formatMailbox(recipient)]));
}

function matched({ rule, positions }: Match, { recipients }: RuledMessage): MatchedRule {
  const { tls } = rule.effects;
  return {
    name: rule.name,
    ...(positions.size < recipients.length && { positions: [...positions] }),
    ...(tls && { tls }),
  };
}

function matchOf(rule: Rule, message: RuledMessage): Match | undefined {
  const { sender, from, recipient, subject, header = {}, direction } = rule.when;
  if (direction === "inbound") return undefined;
  const { reversePath, recipients } = message;
  if (!isAny(sender, [reversePath === null ? "" : formatMailbox(reversePath)])) return undefined;
  const authors = from === undefined ? [] : fromMailboxes(message.header);
  if (from !== undefined && authors !== undefined && !isAny(from, authors.map(formatMailbox))) return undefined;
  const subjects = valuesOf(message.header, "Subject");
  if (!isAny(subject, subjects.length === 0 ? [""] : subjects)) return undefined;
  for (const [name, globs] of Object.entries(header)) {
    if (!isAny(globs, valuesOf(message.header, name))) return undefined;
  }
  const positions = recipients.filter(({ mailbox }) => isAny(recipient, [formatMailbox(mailbox)]));
  if (positions.length === 0) return undefined;
  const glob = subject?.find((one) => subjects.some((text) => matchesGlob(one, text)));
  const tag = rule.effects.removeSubjectTag === true && glob !== undefined ? literalOf(glob) : undefined;
  return {
    rule,
    positions: new Set(positions.map(({ position }) => position)),
    isCertain: authors !== undefined,
    ...(tag && { tag }),
  };
}

function valuesOf(header: Buffer, name: string): string[] {
  return fieldValues(header, name).map(decodeWords);
}

function isAny(globs: readonly string[] | undefined, texts: readonly string[]): boolean {
  return globs === undefined || globs.some((glob) => texts.some((text) => matchesGlob(glob, text)));
}

/** The first rule that says a thing wins, over the partner. */
function ruledTreatment(matches: readonly Match[], policy: Treatment): Treatment {
  if (matches.length === 0) return policy;
  const said = (isCertain: boolean): Rule[] =>
    matches.flatMap((match) => (match.isCertain === isCertain ? [match.rule] : []));
  const smime = raised(ruledSmime(said(true), policy.smime), said(false));
  const tags = matches.flatMap(({ tag }) => tag ?? []);
  return { ...policy, smime, headers: tags.length === 0 ? policy.headers : { ...policy.headers, subjectTags: tags } };
}

export function ruledSmime(rules: readonly Rule[], policy: SmimePolicy): SmimePolicy {
  return rules.reduceRight<SmimePolicy>((said, { effects }) => ({ ...said, ...effects.smime }), policy);
}

const SIGN: readonly SmimePolicy["sign"][] = ["never", "if-possible", "always"];
const ENCRYPT: readonly SmimePolicy["encrypt"][] = ["never", "if-known", "always"];

/** By what these rules say of it, where that is more. */
function raised(policy: SmimePolicy, rules: readonly Rule[]): SmimePolicy {
  const { sign, encrypt } = ruledSmime(rules, policy);
  return { ...policy, sign: higher(SIGN, policy.sign, sign), encrypt: higher(ENCRYPT, policy.encrypt, encrypt) };
}

function higher<T>(order: readonly T[], a: T, b: T): T {
  return order.indexOf(a) < order.indexOf(b) ? b : a;
}

/** RFC 8689 §3: one field, and its value is No. */
function wishesNoTls(header: Buffer): boolean {
  const values = fieldValues(header, "TLS-Required");
  return values.length === 1 && values[0]?.toLowerCase() === "no";
}

/** Envelope sender or author: demands add up. Of an author who cannot be read it is enough that the alias is named. */
function isFromAlias(ownDomains: Policy["ownDomains"], { header, reversePath }: RuledMessage): boolean {
  const aliases = new Set<string>(ownDomains.flatMap(({ tlsOnlyAlias }) => tlsOnlyAlias ?? []));
  if (aliases.size === 0) return false;
  const isOne = ({ domain }: Mailbox): boolean => aliases.has(formatDomain(domain));
  if (reversePath !== null && isOne(reversePath)) return true;
  const authors = fromMailboxes(header);
  if (authors !== undefined) return authors.some(isOne);
  const written = fieldValues(header, "From").join("\n").toLowerCase();
  return [...aliases].some((alias) => written.includes(alias));
}
