/**
 * What of an event goes into the history, and by which addresses it is found. Every address that an entry names is
 * among them, or among those of an entry of the same message: else it could not be erased. Pure.
 */
import type { Events } from "./report/events.ts";
import { addressesIn } from "./report/mask-addresses.ts";
import type { HistoryEntry } from "./store/history.ts";

export interface Heard {
  /** Epoch ms. */
  readonly at: number;
  /** There is an entry by which the message is found, whatever this one says. */
  readonly isKnown: (queueId: string) => boolean;
}

type Told = { readonly [K in keyof Events]?: (fields: Events[K], heard: Heard) => readonly HistoryEntry[] };

/** Of a refused message; more are an attempt at something else than mail. */
const MOST_REFUSED_RECIPIENTS = 100;

const TOLD: Told = {
  "message.accepted": (fields, { at }) => {
    const { queueId, sender, recipients, messageId, client } = fields;
    const found = [sender, ...recipients, messageId, ...addressesIn(client.user ?? "")];
    return [entry(at, "accepted", queueId, found, fields)];
  },
  "message.refused": (fields, { at }) => {
    const { sender, client, reason } = fields;
    if (sender === undefined) return [];
    const recipients = fields.recipients.slice(0, MOST_REFUSED_RECIPIENTS);
    const found = [sender, ...recipients, ...addressesIn(client?.user ?? ""), ...addressesIn(reason)];
    return [entry(at, "refused", null, found, { ...fields, recipients })];
  },
  delivery: (fields, { at, isKnown }) => {
    const { queueId, domain, partner, mode, wouldDefer, sender, recipients } = fields;
    const found = [...(isKnown(queueId) ? [] : [sender, ...recipients]), ...mentioned(fields)];
    const columns = { domain, mode, ...(partner !== null && { partner }), ...(wouldDefer && { wouldDefer }) };
    return [{ ...entry(at, "delivery", queueId, found, fields), ...columns }];
  },
  "notice.queued": (fields, { at }) =>
    // Told of the message it is about (an alarm is about none), and of the notice itself, whose deliveries follow.
    [fields.about, fields.queueId].flatMap((id) =>
      id.length === QUEUE_ID_LENGTH ? [entry(at, "notice", id, [fields.recipient], fields)] : [],
    ),
  "message.moved": (fields, { at }) =>
    [fields.queueId, fields.into].map((id) => entry(at, "moved", id, [fields.approvedBy], fields)),
  "message.finished": (fields, { at, isKnown }) => {
    const { queueId, outcome } = fields;
    // Of most messages the last delivery tells as much; of what a person has ended, nothing else does.
    if (!outcome.some(({ end }) => end === "removed" || end === "failed")) return [];
    const found = isKnown(queueId) ? [] : outcome.map(({ recipient }) => recipient);
    return [entry(at, "finished", queueId, found, fields)];
  },
  "queue.action": (fields, { at }) => {
    const id = fields.filter["id"]?.slice(0, QUEUE_ID_LENGTH);
    // What reached nothing has not happened to the message.
    return id === undefined || fields.matched === 0
      ? []
      : [entry(at, "action", id, addressesIn(fields.reason ?? ""), fields)];
  },
};

const QUEUE_ID_LENGTH = 32;

export function entriesOf<K extends keyof Events>(event: K, fields: Events[K], heard: Heard): readonly HistoryEntry[] {
  return TOLD[event]?.(fields, heard) ?? [];
}

function entry(
  at: number,
  kind: HistoryEntry["kind"],
  queueId: string | null,
  ...[found, fields]: [readonly (string | undefined)[], object]
): HistoryEntry {
  const named = found.filter((one): one is string => one !== undefined && one !== "" && one !== "<>");
  return { at, kind, queueId, found: named, fields };
}

/** Addresses in texts, of whomever, that are not those of the message. */
function mentioned({ sender, recipients, smtp, detail, exception }: Events["delivery"]): readonly string[] {
  const texts = [smtp?.text, detail, exception?.approvedBy, exception?.reason];
  const found = texts.flatMap((text) => (text?.includes("@") === true ? addressesIn(text) : []));
  return found.filter((one) => one !== sender && !recipients.includes(one));
}
