/**
 * Whether mail may have left in clear: kept with a delivery that waits, so that its sender is promised nothing that was
 * true only of the last attempt. Pure.
 */
import type { Climb } from "./climb.ts";
import type { OutboundPolicy } from "./decide/policy.ts";
import type { Delivery, MessageFacts } from "./mail/delivery.ts";

/** No session under this policy carries the message in clear. */
export function demandsEncryption({ mode, tls }: OutboundPolicy, { envelope, demands }: MessageFacts): boolean {
  if (envelope.mail.requireTls || demands?.alias === true) return true;
  return mode === "enforce" && tls.level !== "none" && tls.level !== "may";
}

/** Notes an attempt that would have gone in clear. Once noted it stays: later attempts do not undo it. */
export function rememberClear(
  delivery: Pick<Delivery, "message" | "course">,
  climb: Climb,
  attempts: readonly { readonly way: OutboundPolicy }[],
): Climb {
  const { message, course } = delivery;
  const { settled, change, instead } = climb;
  if (course?.clear === true || attempts.every(({ way }) => demandsEncryption(way, message))) return climb;
  const noted = { ...change, course: { ...course, ...change?.course, clear: true as const } };
  return {
    ...climb,
    ...(settled.next !== undefined && { change: noted }),
    ...(instead && { instead: rememberClear(delivery, instead, attempts) }),
  };
}
