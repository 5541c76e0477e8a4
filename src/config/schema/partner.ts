/** The schema of one file below partners/, and of exceptions. */
import type * as z from "zod";
import { inbound } from "./inbound.ts";
import { mode, outbound, reportUntil } from "./outbound.ts";
import { lastDay, listOf, mailbox, mapOf, oneOrMany, pattern, plainText } from "./values.ts";

export const exceptionShape = {
  until: lastDay,
  approved_by: plainText,
  reason: plainText,
  outbound: outbound.optional(),
  inbound: inbound.optional(),
};

export const exception = mapOf(exceptionShape);
export type Exception = z.output<typeof exception>;

export const partner = mapOf({
  name: plainText.optional(),
  domains: oneOrMany(pattern).optional(),
  addresses: oneOrMany(mailbox).optional(),
  contact: mailbox.optional(),
  owner: mailbox.optional(),
  mode: mode.optional(),
  report_until: reportUntil.optional(),
  outbound: outbound.optional(),
  inbound: inbound.optional(),
  exceptions: listOf(exception).optional(),
});
export type Partner = z.output<typeof partner>;
