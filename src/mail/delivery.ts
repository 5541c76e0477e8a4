/** One message × recipients of one domain: what is leased, tried and ended (see store/queue.ts for its states). */
import type { MessageDemands } from "./demands.ts";
import type { Envelope, Recipient } from "./envelope.ts";
import type { NextHop } from "./next-hop.ts";
import type { PeerReply, Reason } from "./outcome.ts";
import type { Treated } from "./treatment.ts";

/** Who handed the mail in, as the log shows it. */
export interface Client {
  readonly address: string;
  readonly port: number;
  /** Reverse name if known; sealpost does no reverse look-ups. */
  readonly name?: string;
  readonly helo: string;
  /** What permitted it. */
  readonly via: "network" | "auth" | "certificate" | "internal";
  readonly user?: string;
  readonly tls?: {
    readonly version: string;
    readonly cipher: string;
    readonly group?: string;
    /** Subject of the client certificate, if one was shown. */
    readonly certificate?: string;
  };
}

export interface MessageFacts {
  /** 32 hex digits of our own; the queue id. */
  readonly id: string;
  readonly envelope: Envelope;
  /** Octets of header block and body as they came. */
  readonly size: number;
  /** Epoch ms. */
  readonly receivedAt: number;
  readonly listener: string;
  readonly client: Client;
  /** Message-ID of the header, brackets included; absent when the message has none. */
  readonly messageId?: string;
  /** Domain of the first From mailbox, A-label; absent when it cannot be read. */
  readonly fromDomain?: string;
  /** True for notices of our own making. */
  readonly notice: boolean;
  /** One for each treatment; a delivery sends one of them. */
  readonly contents: readonly Treated[];
  /** What it demands of its way beside what is configured; absent: nothing. */
  readonly demands?: MessageDemands;
  /** Made of another message, whose time had passed, by a step of the ladder. */
  readonly fallback?: Fallback;
}

/** Goes over plain TLS, since its content is encrypted to every recipient: as long as the ladder of now still says so. */
export interface Fallback {
  /** Queue id of the message that it was made of. */
  readonly of: string;
  readonly approvedBy: string;
  /** Delay notices that had gone out for it by then. Absent: none. */
  readonly delayNotices?: number;
}

export interface LastEnding {
  readonly reason: Reason;
  /** One sentence. */
  readonly detail: string | null;
  /** What the peer said, where it did. */
  readonly smtp?: PeerReply;
}

export interface Delivery {
  readonly id: string;
  readonly message: MessageFacts;
  /** Recipient domain (A-label), or a literal in brackets. */
  readonly domain: string;
  /** Those not ended yet. */
  readonly recipients: readonly Recipient[];
  /** Attempts already ended; the first try has 0. */
  readonly attempts: number;
  /** Epoch ms. */
  readonly expiresAt: number;
  /** Which of the message's contents. */
  readonly content: number;
  /** How the last attempt ended; absent before the first. */
  readonly last?: LastEnding;
  /** What has changed of its way since it came; absent: nothing. */
  readonly course?: Course;
  /** What it is claimed by; absent: its domain. */
  readonly lane?: string;
}

/** What of its domain's mail it is apart from. */
export interface Apart {
  /** Another way, as `destinationOf` writes it. */
  readonly via?: string | undefined;
  /** Another level. */
  readonly level?: string | undefined;
  /** It asks for less than what the domain publishes, whether or not that is honoured now. */
  readonly tlsRequiredNo?: boolean | undefined;
  /** Another partner than the domain's: that of its address. */
  readonly partner?: string | undefined;
}

const [VIA, AT, WISH, FOR] = [" via ", " at ", " tls-required-no", " for "]; // no domain has a blank; a partner's id may, and stands last

/**
 * Mail of a domain that takes another way than the rest, goes at another level, wishes for less or is for a partner of its
 * own waits apart, so that what closes the one does not hold up the other.
 */
export function laneFor(domain: string, { via, level, tlsRequiredNo, partner }: Apart): string {
  const parts = [
    [VIA, via],
    [AT, level],
    [WISH, tlsRequiredNo === true ? "" : undefined],
    [FOR, partner],
  ] as const;
  return parts.reduce((lane, [word, part]) => (part === undefined ? lane : `${lane}${word}${part}`), domain);
}

export function laneOf({ domain, lane }: Pick<Delivery, "domain" | "lane">): string {
  return lane ?? domain;
}

export function readLane(lane: string): Apart & { readonly domain: string } {
  const [before = "", ...ids] = lane.split(FOR);
  const tlsRequiredNo = before.endsWith(WISH);
  const [way = "", level] = (tlsRequiredNo ? before.slice(0, -WISH.length) : before).split(AT, 2);
  const [domain = "", via] = way.split(VIA, 2);
  return {
    domain,
    ...(via !== undefined && { via }),
    ...(level !== undefined && { level }),
    ...(tlsRequiredNo && { tlsRequiredNo }),
    ...(ids.length > 0 && { partner: ids.join(FOR) }),
  };
}

/** Sealed with the delivery, for who could write it could send mail elsewhere. */
export interface Course {
  /** How many steps of `on_expiry` were taken: the last of them is in force. Absent: none. */
  readonly step?: number;
  /** Where a person has sent it, in place of what is configured. Never with `auth`. */
  readonly route?: NextHop;
  /** Delay notices that have gone out for it. Absent: none. */
  readonly delayNotices?: number;
  /** An attempt was made that demanded no encryption. Absent: none was. */
  readonly clear?: true;
}

/** Delay notices that have gone out for these recipients, whatever message they were in. */
export function delayNoticesOf({ course, message }: Delivery): number {
  return course?.delayNotices ?? message.fallback?.delayNotices ?? 0;
}

/** What was done to the content that this delivery sends. */
export function treatedOf({ message, content }: Delivery): Treated {
  return message.contents[content] ?? { size: message.size };
}
