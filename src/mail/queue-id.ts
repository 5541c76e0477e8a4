/** The id of a message in the queue: 32 hex digits, which also name the files of its bodies. */

const QUEUE_ID = /^[0-9a-f]{32}$/;
const TIME_DIGITS = 12;
const RANDOM_BYTES = 10;

/**
 * The milliseconds since 1970 of `now`, then 80 random bits (as in RFC 9562 §5.7, without its version bits). Ids grow with
 * time so that new messages lie side by side in the indexes: with random ids each dirtied a page of its own, and a disk of
 * few operations a second was the slower the more mail waited.
 */
export function newQueueId(now: number, random: { readonly bytes: (length: number) => Buffer }): string {
  const time = Math.max(0, Math.trunc(now)).toString(16).padStart(TIME_DIGITS, "0").slice(-TIME_DIGITS);
  return time + random.bytes(RANDOM_BYTES).toString("hex");
}

export function isQueueId(text: string): boolean {
  return QUEUE_ID.test(text);
}
