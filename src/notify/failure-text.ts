/** What a failure notice tells people: recipients by reason, in plain words. Neither layout nor MIME. */
import { fieldValues } from "../mail/header-field.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import type { MessageFacts } from "../mail/delivery.ts";
import type { Reason } from "../mail/outcome.ts";
import type { TlsFailure } from "../mail/tls-failure.ts";
import { replyText, statusOf, type Unreached } from "./delivery-status.ts";
import { decodeWords } from "./encoded-words.ts";
import { visible } from "./header-line.ts";
import type { Block } from "./render.ts";
import type { Wording } from "./wording.ts";

export interface FailureFacts {
  readonly hostname: string;
  readonly postmaster: string;
  readonly message: MessageFacts;
  readonly domain: string;
  readonly header: Buffer;
  readonly unreached: readonly Unreached[];
  readonly encryptionDemanded: boolean;
  /** False: nothing that stands in the header is told. */
  readonly withOriginal: boolean;
}

/** Shown by name; the delivery-status part has them all. */
const MOST_RECIPIENTS = 30;
/** Different replies, and statuses, quoted for one reason. */
const MOST_REPLIES = 3;

export function failureBlocks(facts: FailureFacts, wording: Wording): readonly Block[] {
  const { failure } = wording;
  const received = wording.date(facts.message.receivedAt);
  const written = facts.withOriginal ? (fieldValues(facts.header, "Subject")[0] ?? "") : "";
  const subject = visible(decodeWords(written.slice(0, 1_000)), 150);
  const groups = [...groupByReason(facts.unreached).values()];
  return [
    { kind: "text", text: failure.opening({ hostname: facts.hostname, received, subject }) },
    ...groups.flatMap((group) => groupBlocks(group, facts, wording)),
    { kind: "text", text: failure.closing(facts.postmaster) },
  ];
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
  { domain, encryptionDemanded }: FailureFacts,
  { failure, reasons }: Wording,
): Block[] {
  const [{ end, problem }] = group;
  const names = group.slice(0, MOST_RECIPIENTS).map(({ recipient }) => visible(formatMailbox(recipient.mailbox), 400));
  const more = group.length > names.length ? [failure.andMore(group.length - names.length)] : [];
  const replies = new Set(group.flatMap(({ problem: { smtp } }) => (smtp === undefined ? [] : [replyText(smtp, 300)])));
  const statuses = new Set(group.map((each) => statusOf(each)));
  const sentences = [
    failure.because(reasons[problem.reason](domain)),
    ...(end === "expired" ? [failure.expired] : []),
    ...(encryptionDemanded && isTls(problem.reason) ? [failure.stayedEncrypted] : []),
    ...(group.some((each) => each.problem.mayBeDelivered === true) ? [failure.mayHaveArrived] : []),
  ];
  return [
    { kind: "text", text: failure.notReached },
    { kind: "list", items: [...names, ...more] },
    { kind: "text", text: sentences.join(" ") },
    ...(replies.size === 0 ? [] : ([{ kind: "text", text: failure.theySaid }] as const)),
    ...(replies.size === 0 ? [] : ([{ kind: "list", items: [...replies].slice(0, MOST_REPLIES) }] as const)),
    { kind: "text", text: failure.technical(problem.reason, [...statuses].slice(0, MOST_REPLIES).join(", ")) },
  ];
}

const TLS: Readonly<Record<TlsFailure, true>> = {
  "starttls-not-supported": true,
  "certificate-host-mismatch": true,
  "certificate-expired": true,
  "certificate-not-trusted": true,
  "validation-failure": true,
  "tlsa-invalid": true,
  "dnssec-invalid": true,
  "dane-required": true,
  "sts-policy-fetch-error": true,
  "sts-policy-invalid": true,
  "sts-webpki-invalid": true,
  "tls-parameters-too-weak": true,
  "fingerprint-mismatch": true,
  "client-certificate-demanded": true,
  "requiretls-not-supported": true,
  "mx-not-in-policy": true,
};

function isTls(reason: Reason): boolean {
  return Object.hasOwn(TLS, reason);
}
