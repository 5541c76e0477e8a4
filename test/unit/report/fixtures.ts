/** Fields of a delivery that went well; a row says what is different. */
import type { DeliveryFields } from "../../../src/report/events.ts";

export function deliveryFields(over: Partial<DeliveryFields> = {}): DeliveryFields {
  return {
    queueId: "0123456789abcdef0123456789abcdef",
    messageId: "<1@example.org>",
    sender: "anna@example.org",
    recipients: ["bea@acme.example"],
    domain: "acme.example",
    partner: "acme",
    direction: "outbound",
    attempt: 1,
    outcome: "delivered",
    route: "mx",
    mode: "enforce",
    exception: undefined,
    rules: [],
    mx: undefined,
    tls: undefined,
    reason: undefined,
    wouldDefer: undefined,
    smtp: { code: 250, text: "2.0.0 Ok" },
    detail: undefined,
    bytes: 4096,
    smime: undefined,
    dkim: undefined,
    durationMs: 12,
    delayMs: 20,
    nextAttempt: undefined,
    expires: "2026-11-30T12:00:00.000Z",
    generation: 1,
    ...over,
  };
}
