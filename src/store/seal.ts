/**
 * Sealing: AES-256-GCM under a random key per message, which the queue key wraps; deleting the wrapped key shreds all.
 * Nothing is given out before it has been authenticated. A nonce is never used twice under one key: bodies, headers and
 * facts are sealed once per key and count their records, details and courses have 88 random bits; the first octet tells them apart.
 */
import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
} from "node:crypto";
import type { Random } from "../runtime/random.ts";
import { StoreError } from "./queue.ts";

/** Octets of clear text in each record of a body but the last, which has 0 to this many. */
export const RECORD_BYTES = 64 * 1024;
export const TAG_BYTES = 16;
export const NONCE_BYTES = 12;
const KEY_BYTES = 32;
const ALGORITHM = "aes-256-gcm";

const STREAMS = { facts: 1, header: 2, body: 3, detail: 4, course: 5 } as const;
export type SealedStream = keyof typeof STREAMS;

export interface QueueKey {
  /** First 16 hex digits of a digest; says which key, and nothing about it. */
  readonly id: string;
  readonly wrapping: KeyObject;
  /** Of stores made before these had a tagging key of their own. */
  readonly tagging: KeyObject;
}

export interface MessageKey {
  readonly messageId: string;
  /** Of the message's bodies, the one that it seals. The key of the first body seals headers and facts, too. */
  readonly part: number;
  /** Id of the queue key that wraps it. */
  readonly wrappedBy: string;
  /** As stored: nonce, sealed key, tag. */
  readonly wrapped: Uint8Array;
  readonly secret: KeyObject;
}

/** Which record of which stream; part of what is authenticated, so records cannot be swapped, dropped or cut off. */
export interface RecordPlace {
  readonly stream: SealedStream;
  readonly record: number;
  readonly last: boolean;
  /** Of a header that is not the first: the body that it belongs to. */
  readonly part?: number;
}

/** From the 32 octets of the key file. The key itself is only ever used to derive others (RFC 5869). */
export function queueKeyFrom(secret: Uint8Array): QueueKey {
  const derive = (label: string): KeyObject =>
    createSecretKey(new Uint8Array(hkdfSync("sha256", secret, new Uint8Array(0), label, KEY_BYTES)));
  const id = createHash("sha256").update("sealpost queue key id\0").update(secret).digest("hex").slice(0, 16);
  return { id, wrapping: derive("sealpost message key wrapping"), tagging: derive("sealpost filter tags") };
}

export function createMessageKey(queueKey: QueueKey, messageId: string, random: Random, part = 0): MessageKey {
  const bytes = random.bytes(KEY_BYTES);
  const wrapped = wrapSecret(queueKey, keyAad(messageId, part), bytes, random);
  const secret = createSecretKey(bytes);
  bytes.fill(0);
  return { messageId, part, wrappedBy: queueKey.id, wrapped, secret };
}

/** Throws StoreError "damaged" unless this queue key wrapped it for this message and body. */
export function openMessageKey(queueKey: QueueKey, messageId: string, wrapped: Uint8Array, part = 0): MessageKey {
  const what = `The key of message ${messageId}`;
  const bytes = unwrapSecret(queueKey, keyAad(messageId, part), wrapped, what);
  const secret = createSecretKey(bytes);
  bytes.fill(0);
  return { messageId, part, wrappedBy: queueKey.id, wrapped, secret };
}

/** The same key, wrapped by another queue key: what it has sealed stays as it is. */
export function rewrapMessageKey(key: MessageKey, queueKey: QueueKey, random: Random): MessageKey {
  if (key.wrappedBy === queueKey.id) return key;
  const bytes = key.secret.export();
  const wrapped = wrapSecret(queueKey, keyAad(key.messageId, key.part), bytes, random);
  bytes.fill(0);
  return { ...key, wrappedBy: queueKey.id, wrapped };
}

/** Nonce, sealed secret, tag; bound to what `aad` says it is. */
export function wrapSecret(queueKey: QueueKey, aad: Buffer, secret: Uint8Array, random: Random): Buffer {
  const nonce = random.bytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, queueKey.wrapping, nonce).setAAD(aad);
  return joined([nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
}

/** Throws StoreError "damaged". */
export function unwrapSecret(queueKey: QueueKey, aad: Buffer, wrapped: Uint8Array, what: string): Buffer {
  const by = { nonce: wrapped.subarray(0, NONCE_BYTES), aad, what };
  return open(queueKey.wrapping, by, wrapped.subarray(NONCE_BYTES));
}

/** Sealed text and tag, not yet joined: a body's records are written as they are. */
export function sealRecord(key: MessageKey, place: RecordPlace, clear: Uint8Array): [Buffer, Buffer] {
  const cipher = createCipheriv(ALGORITHM, key.secret, countingNonce(place)).setAAD(recordAad(key, place));
  return finish(cipher, clear);
}

/** Throws StoreError "damaged" when record, place or message are not those that were sealed. */
export function openRecord(key: MessageKey, place: RecordPlace, sealed: Uint8Array): Buffer {
  const what = `The ${place.stream} of message ${key.messageId}`;
  return open(key.secret, { nonce: countingNonce(place), aad: recordAad(key, place), what }, sealed);
}

/** A header block or the facts, whole. At most once per key, stream and content. */
export function seal(key: MessageKey, stream: "facts" | "header", clear: Uint8Array, content = FIRST): Buffer {
  return joined(sealRecord(key, placeOf(stream, content), clear));
}

export function unseal(key: MessageKey, stream: "facts" | "header", sealed: Uint8Array, content = FIRST): Buffer {
  return openRecord(key, placeOf(stream, content), sealed);
}

/** Which content of a message, and the body it has. */
export interface ContentPlace {
  readonly number: number;
  readonly part: number;
}

const FIRST: ContentPlace = { number: 0, part: 0 };

/** The first header belongs to the body whose key seals it; any other is bound to its own. */
function placeOf(stream: "facts" | "header", { number, part }: ContentPlace): RecordPlace {
  return { stream, record: number, last: true, ...(number > 0 && { part }) };
}

/** The sentence of the last attempt, which changes while the message waits: its nonce is random and stands in front. */
export function sealDetail(key: MessageKey, detail: string, random: Random): Buffer {
  const nonce = random.bytes(NONCE_BYTES);
  nonce[0] = STREAMS.detail;
  const cipher = createCipheriv(ALGORITHM, key.secret, nonce).setAAD(recordAad(key, DETAIL));
  return joined([nonce, ...finish(cipher, Buffer.from(detail, "utf8"))]);
}

export function unsealDetail(key: MessageKey, sealed: Uint8Array): string {
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const what = `The last attempt of message ${key.messageId}`;
  return open(key.secret, { nonce, aad: recordAad(key, DETAIL), what }, sealed.subarray(NONCE_BYTES)).toString("utf8");
}

/** What has changed of a delivery's way: bound to the delivery, or that of another recipient could be put in its place. */
export function sealCourse(key: MessageKey, deliveryId: string, course: string, random: Random): Buffer {
  const nonce = random.bytes(NONCE_BYTES);
  nonce[0] = STREAMS.course;
  const cipher = createCipheriv(ALGORITHM, key.secret, nonce).setAAD(courseAad(key, deliveryId));
  return joined([nonce, ...finish(cipher, Buffer.from(course, "utf8"))]);
}

/** Throws StoreError "damaged". */
export function unsealCourse(key: MessageKey, deliveryId: string, sealed: Uint8Array): string {
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const what = `The course of delivery ${deliveryId}`;
  const by = { nonce, aad: courseAad(key, deliveryId), what };
  return open(key.secret, by, sealed.subarray(NONCE_BYTES)).toString("utf8");
}

/** An entry of the history: its nonce is random, used once, and stands in front. */
export function sealEntry(key: KeyObject, place: string, text: string, nonce: Uint8Array): Buffer {
  const cipher = createCipheriv(ALGORITHM, key, nonce).setAAD(Buffer.from(place, "utf8"));
  return joined([nonce, ...finish(cipher, Buffer.from(text, "utf8"))]);
}

/** Throws StoreError "damaged". */
export function unsealEntry(key: KeyObject, place: string, sealed: Uint8Array): string {
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const by = { nonce, aad: Buffer.from(place, "utf8"), what: "An entry of the history" };
  return open(key, by, sealed.subarray(NONCE_BYTES)).toString("utf8");
}

/** Finds equal values without storing them; 128 bits. Kinds never collide. */
export function tagOf(tagging: KeyObject, kind: string, value: string): Buffer {
  return createHmac("sha256", tagging).update(`${kind}\0${value}`).digest().subarray(0, TAG_BYTES);
}

/** In memory of its own: a slice of Node's shared pool would take the pool's other contents along to the database thread. */
export function joined(parts: readonly Uint8Array[]): Buffer<ArrayBuffer> {
  const whole = Buffer.allocUnsafeSlow(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

const DETAIL: RecordPlace = { stream: "detail", record: 0, last: true };

function finish(cipher: CipherGCM, clear: Uint8Array): [Buffer, Buffer] {
  const sealed = cipher.update(clear);
  cipher.final();
  return [sealed, cipher.getAuthTag()];
}

function open(key: KeyObject, by: { nonce: Uint8Array; aad: Buffer; what: string }, sealed: Uint8Array): Buffer {
  const end = sealed.length - TAG_BYTES;
  if (end < 0 || by.nonce.length < NONCE_BYTES) throw new StoreError("damaged", `${by.what} is cut short`);
  const decipher = createDecipheriv(ALGORITHM, key, by.nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(by.aad).setAuthTag(sealed.subarray(end));
  const clear = decipher.update(sealed.subarray(0, end));
  try {
    decipher.final();
  } catch (error) {
    clear.fill(0);
    throw new StoreError("damaged", `${by.what} fails authentication`, error);
  }
  return clear;
}

function countingNonce({ stream, record }: RecordPlace): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce[0] = STREAMS[stream];
  nonce.writeUInt32BE(record, NONCE_BYTES - 4);
  return nonce;
}

function recordAad(key: MessageKey, { stream, record, last, part }: RecordPlace): Buffer {
  const of = part === undefined ? "" : ` of part ${part}`;
  return Buffer.from(`${key.messageId} ${stream} ${record} ${last ? "last" : "more"}${of}`, "latin1");
}

function courseAad({ messageId }: MessageKey, deliveryId: string): Buffer {
  return Buffer.from(`${messageId} course ${deliveryId}`, "latin1");
}

function keyAad(messageId: string, part: number): Buffer {
  return Buffer.from(`message key ${messageId}${part === 0 ? "" : ` part ${part}`}`, "latin1");
}
