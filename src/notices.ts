/**
 * Makes of what became of mail, or of its waiting, notices ready to be stored with it: notify → transform → store. A
 * notice goes the way of any mail to its recipient's domain, under the policy of that domain. Who cannot be told by mail
 * is no reason for more mail: then there is an alarm in the log.
 */
import { stepsTaken } from "./decide/ladder.ts";
import type { PartnerPolicy } from "./decide/policy.ts";
import { type Delivery, delayNoticesOf, type LastEnding } from "./mail/delivery.ts";
import { formatMailbox, type Mailbox, mailboxKey, parseMailbox } from "./mail/mailbox.ts";
import { createNoticeFacts } from "./notice-facts.ts";
import { delayNotice, ownerCopy } from "./notify/delay-notice.ts";
import { failureNotice } from "./notify/failure-notice.ts";
import type { Notice, NoticeFacts } from "./notify/notice.ts";
import { type Delivered, reachedKind, reachedNotice, type ReachedKind } from "./notify/reached-notice.ts";
import { undeliverableNotice } from "./notify/undeliverable-notice.ts";
import { createOwnMail, type OwnMailDeps } from "./own-mail.ts";
import type { Events } from "./report/events.ts";
import { remedyFor } from "./report/remedy.ts";
import { GERMAN_REMEDIES } from "./report/remedy-de.ts";
import { createHourly } from "./schedule/hourly.ts";
import type { EndedBadly } from "./schedule/settle.ts";
import type { NewMessage, QueueStore } from "./store/queue.ts";

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
  /** That it waits. `expiresAt`: epoch ms, when the step of the ladder that it stands on is over. */
  readonly delayed: (delivery: Delivery, expiresAt: number) => Promise<readonly StoredNotice[]>;
}

type Kind = Events["notice.queued"]["kind"];

/** To one postmaster, or one partner's owner, in an hour. */
const MOST_AN_HOUR = 10;

export function createNotices(deps: NoticesDeps): Notices {
  const ownMail = createOwnMail(deps);
  const factsFor = createNoticeFacts(deps);
  const stored: Store = async (kind, about, facts, notice) => {
    if (notice === undefined) return [];
    const message = await ownMail(notice, { id: facts.id, now: facts.now });
    const recipient = formatMailbox(notice.recipient);
    const status = [...new Set(notice.statuses)];
    return [{ message, told: { queueId: facts.id, about: about.message.id, kind, recipient, status } }];
  };
  const making = { ...deps, factsFor, stored };
  const ofNotice = createOfNotice(making);
  const ofWaiting = createOfWaiting(making);
  const alarmed = createAlarms(deps);
  const reached = async (
    delivery: Delivery,
    sender: Mailbox,
    kind: ReachedKind,
    delivered: readonly Delivered[],
  ): Promise<readonly StoredNotice[]> => {
    const wasDelayed = delayNoticesOf(delivery) > 0;
    const told = delivered.filter((one) => reachedKind(one, wasDelayed) === kind);
    if (told.length === 0) return []; // most mail: nothing is read for it
    const facts = await factsFor(delivery, sender);
    return stored(kind, delivery, facts, reachedNotice({ ...facts, kind, delivered: told }));
  };
  return {
    ended: async (delivery, badly, delivered) => {
      const { message } = delivery;
      const sender = message.envelope.reversePath;
      if (message.notice) return badly.length === 0 ? [] : ofNotice(delivery, badly);
      if (sender === null) {
        if (badly.length > 0) alarmed(delivery, "undeliverable-null-sender");
        return [];
      }
      const failed = async (): Promise<readonly StoredNotice[]> => {
        const facts = await factsFor(delivery, sender);
        return stored("failure", delivery, facts, failureNotice({ ...facts, unreached: badly }));
      };
      return [
        ...(badly.length > 0 ? await failed() : []),
        ...(await reached(delivery, sender, "delivered", delivered)),
        ...(await reached(delivery, sender, "relayed", delivered)),
      ];
    },
    delayed: ofWaiting,
  };
}

type Store = (
  kind: Kind,
  about: Delivery,
  facts: NoticeFacts,
  notice: Notice | undefined,
) => Promise<readonly StoredNotice[]>;

interface Making extends NoticesDeps {
  readonly factsFor: (delivery: Delivery, to: Mailbox) => Promise<NoticeFacts>;
  readonly stored: Store;
}

/** A notice of ours that ended badly. */
function createOfNotice(
  making: Making,
): (delivery: Delivery, unreached: readonly EndedBadly[]) => Promise<readonly StoredNotice[]> {
  const { snapshot, clock, factsFor, stored } = making;
  const mayWrite = onceEach(createHourly(clock, MOST_AN_HOUR));
  const alarmed = createAlarms(making);
  return async (delivery, unreached) => {
    const to = parseMailbox(snapshot().settings.postmaster);
    const isPostmasters = delivery.recipients.some(({ mailbox }) => to && mailboxKey(mailbox) === mailboxKey(to));
    if (to === undefined || isPostmasters || !mayWrite(delivery, mailboxKey(to))) {
      alarmed(delivery, "undeliverable-notice");
      return [];
    }
    const facts = await factsFor(delivery, to);
    const notice = undeliverableNotice({ ...facts, postmasterMailbox: to, unreached });
    return stored("undeliverable", delivery, facts, notice);
  };
}

function createOfWaiting(making: Making): Notices["delayed"] {
  const { snapshot, clock, factsFor, stored } = making;
  const mayCopy = onceEach(createHourly(clock, MOST_AN_HOUR));
  return async (delivery, expiresAt) => {
    const { reversePath } = delivery.message.envelope;
    if (reversePath === null || delivery.message.notice) return [];
    const { reason, detail, smtp }: LastEnding = delivery.last ?? { reason: "internal-error", detail: null };
    const last = { reason, detail: detail ?? "", ...(smtp && { smtp }) };
    const { decide, settings } = snapshot();
    const policies = delivery.recipients.map(({ mailbox }) => decide(mailbox, clock.now()));
    const left = policies.map(({ onExpiry }) =>
      onExpiry.slice(stepsTaken(delivery, onExpiry)).reduce((sum, { lifetimeMs }) => sum + lifetimeMs, 0),
    );
    const about = { recipients: delivery.recipients, last, lastTryAt: expiresAt + Math.max(0, ...left) };
    const facts = await factsFor(delivery, reversePath);
    const toSender = await stored("delay", delivery, facts, delayNotice({ ...facts, ...about }));
    const partner = settings.policy.partners.find(({ id }) => id === policies[0]?.partner);
    const owner = ownerOf(partner);
    if (partner === undefined || owner === undefined || mailboxKey(owner) === mailboxKey(reversePath)) return toSender;
    if (!mayCopy(delivery, `${partner.id} ${mailboxKey(owner)}`)) return toSender;
    const remedy = { en: remedyFor(reason), de: GERMAN_REMEDIES[reason] };
    const ownerFacts = await factsFor(delivery, owner);
    const copy = ownerCopy({ ...ownerFacts, ...about, owner, partner: partner.name, remedy });
    return [...toSender, ...(await stored("copy", delivery, ownerFacts, copy))];
  };
}

function ownerOf(partner: PartnerPolicy | undefined): Mailbox | undefined {
  return partner?.owner === undefined ? undefined : parseMailbox(partner.owner);
}

/** What could not be stored is made again for the same delivery, and has its place already. */
function onceEach(take: (key: string) => boolean): (delivery: Delivery, key: string) => boolean {
  const taken = new WeakSet<Delivery>();
  return (delivery, key) => {
    if (!taken.has(delivery) && !take(key)) return false;
    taken.add(delivery);
    return true;
  };
}

const REMEDIES = {
  "undeliverable-null-sender": "has ended with a null sender, so nobody is told by mail",
  "undeliverable-notice": "is a notice of this gateway that has reached nobody, and no more mail is sent about it",
} as const;

/** For the log alone, once for a delivery. */
function createAlarms({ emit, clock }: NoticesDeps): (delivery: Delivery, code: keyof typeof REMEDIES) => void {
  const told = new WeakSet<Delivery>();
  return (delivery, code) => {
    if (told.has(delivery)) return;
    told.add(delivery);
    emit("alarm", {
      code,
      partner: null,
      state: "raised",
      since: new Date(clock.now()).toISOString(),
      until: undefined,
      remedy: `Message ${delivery.message.id} to ${delivery.domain} ${REMEDIES[code]}: see why in its delivery line`,
    });
  };
}
