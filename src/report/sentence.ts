/**
 * The `msg` of each event: one sentence for people, made of the event's own fields and of nothing else.
 * Also the level each event has. Both maps are closed by the type: a new event does not compile without them.
 */
import type { DeliveryFields, Events, SessionFields } from "./events.ts";

export type LogLevel = "info" | "warn" | "error";

type Of<T> = { readonly [K in keyof Events]: T | ((fields: Events[K]) => T) };
type Sentences = { readonly [K in keyof Events]: (fields: Events[K]) => string };

const LEVELS: Of<LogLevel> = {
  "gateway.started": "info",
  "gateway.ready": "info",
  "gateway.stopped": "info",
  "config.reloaded": "info",
  "config.refused": "error",
  "policy.changed": "info",
  "session.refused": "warn",
  "auth.failed": "warn",
  "tls.failed": "warn",
  "limit.hit": "warn",
  "message.accepted": "info",
  "message.refused": "warn",
  delivery: ({ outcome }) => (outcome === "delivered" ? "info" : "warn"),
  "mta-sts.failed": "warn",
  "message.finished": "info",
  "message.moved": "warn",
  "notice.queued": "info",
  "queue.action": "info",
  "admin.action": "info",
  "key.rotated": "info",
  "admin.denied": "warn",
  "exception.started": "warn",
  "exception.ended": "info",
  alarm: ({ state }) => (state === "raised" ? "warn" : "info"),
  error: "error",
};

const SENTENCES: Sentences = {
  "gateway.started": (f) => `sealpost ${f.version} starts with ${f.config}`,
  "gateway.ready": (f) => `Ready: ${f.listeners.map((l) => `${l.name} on ${place(l)}`).join(", ")}`,
  "gateway.stopped": (f) => `Stopped: ${f.reason}`,
  "config.reloaded": (f) => `Configuration reloaded from ${count(f.files, "file")}, generation ${f.generation}`,
  "config.refused": (f) => `New configuration refused, the old one stays: ${count(f.problems.length, "problem")}`,
  "policy.changed": (f) => `The policy of ${partner(f.partner)} is another one now`,
  "session.refused": (f) => `Session from ${place(f)} refused: ${f.reason}`,
  "auth.failed": (f) => `Login${f.user === undefined ? "" : ` as ${f.user}`} from ${place(f)} failed: ${f.reason}`,
  "tls.failed": (f) => `TLS with ${place(f)} failed: ${f.detail}`,
  "limit.hit": (f) => `${place(f)} has reached ${f.limit} (${f.value})`,
  "message.accepted": (f) =>
    `Accepted ${f.queueId} from ${sender(f.sender)} for ${count(f.recipients.length, "recipient")}, ${f.size} octets`,
  "message.refused": (f) =>
    `Refused at ${f.stage} with ${f.code} ${f.enhancedCode} from ${clientOf(f)}: ${f.reason}${f.rules === undefined ? "" : ` (rule ${f.rules.join(", ")})`}`,
  delivery: (f) => deliverySentence(f),
  "mta-sts.failed": (f) =>
    `The MTA-STS policy of ${f.domain} cannot be had (${f.detail}); ${f.cachedUntil === undefined ? "none applies" : `the one known before applies until ${f.cachedUntil}`}`,
  "message.finished": (f) => `${f.queueId} is finished${f.shredded ? " and its key is gone" : ""}`,
  "message.moved": (f) => `${f.queueId} goes on as ${f.into}: ${f.reason}, approved by ${f.approvedBy}`,
  "notice.queued": (f) => `Queued ${f.queueId}: notice of ${f.kind} about ${f.about} to ${f.recipient}`,
  "queue.action": (f) =>
    `Queue: ${f.action} for ${f.matched} waiting${f.reason === undefined ? "" : `, because ${f.reason}`}`,
  "admin.action": (f) =>
    `${f.action} by ${f.who === undefined ? f.address : `${f.who} (${f.address})`}: ${f.detail}${f.why === undefined ? "" : `, because ${f.why}`}`,
  "key.rotated": (f) => `The queue is sealed with key ${f.keyId} alone; ${f.dropped.join(", ")} went`,
  "admin.denied": (f) => `Denied ${f.path} to ${f.address}: ${f.reason}`,
  "exception.started": (f) => `Exception for ${partner(f.partner)} in force until ${f.until}: ${f.reason}`,
  "exception.ended": (f) => `Exception for ${partner(f.partner)} has ended: ${f.reason}`,
  alarm: (f) => `${f.state === "raised" ? "Alarm" : "No longer an alarm"}: ${f.code}. ${f.remedy}`,
  error: (f) => `Error (${f.kind}): ${f.detail.split("\n", 1)[0] ?? ""}`,
};

/** Names of all events, in the order of the documentation. */
export const EVENT_NAMES = Object.keys(SENTENCES) as readonly (keyof Events)[];

export function levelOf<K extends keyof Events>(event: K, fields: Events[K]): LogLevel {
  const level: Of<LogLevel>[K] = LEVELS[event];
  return typeof level === "function" ? level(fields) : level;
}

export function sentenceOf<K extends keyof Events>(event: K, fields: Events[K]): string {
  return SENTENCES[event](fields);
}

function deliverySentence(fields: DeliveryFields): string {
  const whom = `${fields.queueId} for ${fields.recipients.join(", ")}`;
  const via = fields.mx === undefined ? "" : ` via ${fields.mx.host}`;
  if (fields.outcome === "delivered") {
    const { tls } = fields;
    const proof = tls?.authenticatedBy === undefined ? "" : `, authenticated by ${tls.authenticatedBy}`;
    const how = tls?.version === undefined ? " in clear" : ` over ${tls.version}${proof}`;
    return `Delivered ${whom}${via}${how}`;
  }
  const what = fields.outcome === "deferred" ? "Waiting" : "Failed";
  return `${what}: ${whom}${via}: ${fields.detail ?? fields.reason ?? "unknown reason"}`;
}

function place({ address, port }: Pick<SessionFields, "address" | "port">): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function clientOf(fields: Events["message.refused"]): string {
  return place(fields);
}

function sender(address: string): string {
  return address === "" ? "the null sender" : address;
}

function partner(id: string | null): string {
  return id ?? "every destination";
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
