/**
 * How many servers a message has passed (RFC 5321 §6.3), also where Received fields were taken out on the way: a Received
 * field of a sealpost says in `(hop N)` how many there were before it. Counts every sealpost's, so that two of them cannot
 * send a message to each other for ever; words, case and folding may have been changed by servers in between.
 */
import { fieldValues } from "./header-field.ts";

/**
 * A field that says N was written after N others, whether they are still there or not; those above it came after. So
 * nothing counts twice, and no claim can make it less than what is there.
 */
export function countHops(header: Buffer): number {
  return Math.max(0, ...fieldValues(header, "Received").map((value, above) => above + 1 + statedHops(value)));
}

function statedHops(received: string): number {
  if (!/\(\s*sealpost\s*\)/i.test(received)) return 0;
  return Number(/\(\s*hop\s+(\d{1,6})\s*\)/i.exec(received)?.[1] ?? 0);
}
