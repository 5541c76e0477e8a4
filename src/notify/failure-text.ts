/** What a failure notice tells people: recipients by reason, in plain words. Neither layout nor MIME. */
import { replyText, statusOf, type Unreached } from "./delivery-status.ts";
import { type About, isTls, openingOf, recipientList, text } from "./notice-text.ts";
import type { Block } from "./render.ts";
import type { Wording } from "./wording.ts";

export interface FailureFacts extends About, UnreachedFacts {
  readonly postmaster: string;
}

export interface UnreachedFacts {
  readonly domain: string;
  readonly unreached: readonly Unreached[];
  readonly encryptionDemanded: boolean;
}

/** Different replies, and statuses, quoted for one reason. */
const MOST_REPLIES = 3;

export function failureBlocks(facts: FailureFacts, wording: Wording): readonly Block[] {
  const { failure } = wording;
  return [
    text(failure.opening(openingOf(facts, wording))),
    ...groupedBlocks(facts, wording),
    text((facts.withOriginal ? failure.closing : failure.redacted)(facts.postmaster)),
  ];
}

/** Who was not reached, and why. */
export function groupedBlocks(facts: UnreachedFacts, wording: Wording): readonly Block[] {
  return [...groupByReason(facts.unreached).values()].flatMap((group) => groupBlocks(group, facts, wording));
}

function groupByReason(unreached: readonly Unreached[]): Map<string, [Unreached, ...Unreached[]]> {
  const groups = new Map<string, [Unreached, ...Unreached[]]>();
  for (const each of unreached) {
    const key = `${each.end} ${each.problem.reason}`; // nothing a peer could make endlessly many of
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [each]);
    else group.push(each);
  }
  return groups;
}

function groupBlocks(
  group: readonly [Unreached, ...Unreached[]],
  { domain, encryptionDemanded }: UnreachedFacts,
  wording: Wording,
): Block[] {
  const { failure, reasons } = wording;
  const [{ end, problem }] = group;
  const replies = new Set(group.flatMap(({ problem: { smtp } }) => (smtp === undefined ? [] : [replyText(smtp, 300)])));
  const statuses = new Set(group.map((each) => statusOf(each)));
  const sentences = [
    failure.because(reasons[problem.reason](domain)),
    ...(end === "expired" ? [failure.expired] : []),
    ...(encryptionDemanded && isTls(problem.reason) ? [failure.stayedEncrypted] : []),
    ...(group.some((each) => each.problem.mayBeDelivered === true) ? [failure.mayHaveArrived] : []),
  ];
  return [
    text(failure.notReached),
    recipientList(group, wording),
    text(sentences.join(" ")),
    ...(replies.size === 0 ? [] : [text(failure.theySaid)]),
    ...(replies.size === 0 ? [] : ([{ kind: "list", items: [...replies].slice(0, MOST_REPLIES) }] as const)),
    text(failure.technical(problem.reason, [...statuses].slice(0, MOST_REPLIES).join(", "))),
  ];
}
