/**
 * Makes of what became of mail, or of its waiting, notices ready to be stored with it: notify → transform → store. A
 * notice goes the way of any mail to its recipient's domain, under the policy of that domain.
 */
import { type Delivery, delayNoticesOf } from "./mail/delivery.ts";
import { formatDomain, formatMailbox, type Mailbox, parseMailbox } from "./mail/mailbox.ts";
import { delayNotice, ownerCopy } from "./notify/delay-notice.ts";
import { failureNotice } from "./notify/failure-notice.ts";
import type { Notice, NoticeFacts } from "./notify/notice.ts";
import { type Delivered, reachedNotice } from "./notify/reached-notice.ts";
import { undeliverableNotice } from "./notify/undeliverable-notice.ts";
import { createOwnMail, type OwnMailDeps } from "./own-mail.ts";
import type { Events } from "./report/events.ts";
import { remedyFor } from "./report/remedy.ts";
import { createHourly } from "./schedule/hourly.ts";
import type { EndedBadly } from "./schedule/settle.ts";
import { type NewMessage, type QueueStore, StoreError } from "./store/queue.ts";

export interface NoticesDeps extends OwnMailDeps {
  readonly queue: Pick<QueueStore, "openSpool" | "header">;
}

/** A notice to be stored, and what is logged once it is. */
export interface StoredNotice {
  readonly message: NewMessage;
  readonly told: Events["notice.queued"];
}

export interface Notices {
  /** What an attempt that ended is to be told of. Rejects with StoreError when a notice cannot be stored now. */
  readonly ended: (
    delivery: Delivery,
    badly: readonly EndedBadly[],
    delivered: readonly Delivered[],
  ) => Promise<readonly StoredNotice[]>;
  /** That it waits. `lastTryAt`: epoch ms. */
  readonly delayed: (delivery: Delivery, lastTryAt: number) => Promise<readonly StoredNotice[]>;
}

type Kind = Events["notice.queued"]["kind"];

/** To one postmaster, or one partner's owner, in an hour. */
const MOST_AN_HOUR = 10;

export function createNotices(deps: NoticesDeps): Notices {
  const { clock, snapshot } = deps;
  const ownMail = createOwnMail(deps);
  const undeliverable = createHourly(clock, MOST_AN_HOUR);
  const copies = createHourly(clock, MOST_AN_HOUR);
  const stored = async (
    kind: Kind,
    about: Delivery,
    facts: NoticeFacts,
    notice: Notice | undefined,
  ): Promise<readonly StoredNotice[]> => {
    if (notice === undefined) return [];
    const { id } = facts;
    const message = await ownMail(notice, { id, now: facts.now });
    const recipient = formatMailbox(notice.recipient);
    const told = { queueId: id, about: about.message.id, kind, recipient, status: [...new Set(notice.statuses)] };
    return [{ message, told }];
  };
  const factsFor = async (delivery: Delivery, to: Mailbox): Promise<NoticeFacts> => {
    const { settings, decide } = snapshot();
    const now = clock.now();
    const own = settings.policy.ownDomains.find(({ domain }) => domain === formatDomain(to.domain));
    const policies = delivery.recipients.map(({ mailbox }) => decide(mailbox, now));
    return {
      id: deps.random.bytes(16).toString("hex"),
      hostname: settings.hostname,
      postmaster: settings.postmaster,
      now,
      message: delivery.message,
      domain: delivery.domain,
      header: await headerOf(deps.queue, delivery.message.id, delivery.content),
      language: settings.noticeLanguage,
      ...(own?.language && { senderLanguage: own.language }),
      encryptionDemanded: policies.every(
        ({ mode, tls: { level } }) => mode === "enforce" && level !== "none" && level !== "may",
      ),
    };
  };

  const ofNotice = async (delivery: Delivery, unreached: readonly EndedBadly[]): Promise<readonly StoredNotice[]> => {
    const to = parseMailbox(snapshot().settings.postmaster);
    const isPostmasters = delivery.recipients.some(({ mailbox }) => to && sameMailbox(mailbox, to));
    if (to === undefined || unreached.length === 0 || isPostmasters || !undeliverable(formatMailbox(to))) return [];
    const facts = await factsFor(delivery, to);
    return stored(
      "undeliverable",
      delivery,
      facts,
      undeliverableNotice({ ...facts, postmasterMailbox: to, unreached }),
    );
  };
  return {
    ended: async (delivery, badly, delivered) => {
      const { reversePath } = delivery.message.envelope;
      if (delivery.message.notice) return ofNotice(delivery, badly);
      if (reversePath === null || (badly.length === 0 && !isTold(delivery, delivered))) return [];
      const bad = badly.length === 0 ? undefined : await factsFor(delivery, reversePath);
      const good = delivered.length === 0 ? undefined : await factsFor(delivery, reversePath);
      const wasDelayed = delayNoticesOf(delivery) > 0;
      return [
        ...(bad ? await stored("failure", delivery, bad, failureNotice({ ...bad, unreached: badly })) : []),
        ...(good
          ? await stored(
              wasDelayed ? "delivered" : "relayed",
              delivery,
              good,
              reachedNotice({ ...good, delivered, wasDelayed }),
            )
          : []),
      ];
    },
    delayed: async (delivery, lastTryAt) => {
      const { reversePath } = delivery.message.envelope;
      if (reversePath === null || delivery.message.notice) return [];
      const { reason, detail } = delivery.last ?? { reason: "internal-error", detail: null };
      const last = { reason, detail: detail ?? "" };
      const facts = await factsFor(delivery, reversePath);
      const about = { recipients: delivery.recipients, last, lastTryAt };
      const partner = partnerOf(deps, delivery);
      const owner = partner?.owner === undefined ? undefined : parseMailbox(partner.owner);
      const toSender = await stored("delay", delivery, facts, delayNotice({ ...facts, ...about }));
      if (partner === undefined || owner === undefined || sameMailbox(owner, reversePath)) return toSender;
      if (!copies(`${partner.id} ${formatMailbox(owner)}`)) return toSender;
      const ownerFacts = await factsFor(delivery, owner);
      const copy = ownerCopy({ ...ownerFacts, ...about, owner, partner: partner.name, remedy: remedyFor(reason) });
      return [...toSender, ...(await stored("copy", delivery, ownerFacts, copy))];
    },
  };
}

/** Most mail that is delivered is told of to nobody: then nothing is read for it. */
function isTold(delivery: Delivery, delivered: readonly Delivered[]): boolean {
  if (delivered.length === 0) return false;
  return (
    delayNoticesOf(delivery) > 0 || delivered.some(({ recipient }) => recipient.notify?.includes("SUCCESS") === true)
  );
}

function partnerOf(
  { snapshot, clock }: NoticesDeps,
  { recipients: [first] }: Delivery,
): { readonly id: string; readonly name: string; readonly owner?: string } | undefined {
  const { decide, settings } = snapshot();
  const id = first && decide(first.mailbox, clock.now()).partner;
  return settings.policy.partners.find((partner) => partner.id === id);
}

function sameMailbox(a: Mailbox, b: Mailbox): boolean {
  return formatMailbox(a).toLowerCase() === formatMailbox(b).toLowerCase();
}

/** A damaged header must not keep anybody from being told. */
async function headerOf(queue: NoticesDeps["queue"], messageId: string, content: number): Promise<Buffer> {
  try {
    return await queue.header(messageId, content);
  } catch (error) {
    if (error instanceof StoreError && error.kind === "damaged") return Buffer.from("\r\n");
    throw error;
  }
}
