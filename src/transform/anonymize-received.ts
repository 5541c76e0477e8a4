/**
 * A Received field of our side with all that is of the inside taken out. Its form is fixed and valid (RFC 5321 §4.4):
 *
 *     Received: from hidden.invalid by hidden.invalid with ESMTPS;
 *     	Tue, 24 Nov 2026 10:11:12 +0100
 *
 * `from` stands there where it stood before. Protocol and date are kept where they can be read; comments, ids, users and recipients never.
 */
import { HIDDEN_NAME } from "./own-side.ts";
import { readClauses } from "./received-clauses.ts";

// RFC 5322 §3.3 with the zones of §4.3; an optional second; comments are not taken along.
const DATE =
  /^(?:[A-Z][a-z]{2}, {0,2})?\d{1,2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}(?::\d{2})?(?:\.\d{1,6})? (?:[+-]\d{4}|[A-Z]{1,5})(?![^ ])/;
// The registered ones (RFC 5321 §4.4, RFC 3848, RFC 6531 §4.3), in any case.
const PROTOCOL = /^(?:UTF8)?(?:E?SMTP|LMTP)S?A?$/;

/** `value`: unfolded. Undefined where no date can be read: without one it would be no Received field, so it goes. */
export function anonymizeReceived(value: string): Buffer | undefined {
  const { hasFrom, protocol, date } = readClauses(value);
  const when = DATE.exec(date.replace(/[ \t]+/g, " "))?.[0];
  if (when === undefined) return undefined;
  const spoken = protocol.toUpperCase();
  const withWhat = PROTOCOL.test(spoken) ? ` with ${spoken}` : microsoft(value, spoken);
  const from = hasFrom ? `from ${HIDDEN_NAME} ` : "";
  return Buffer.from(`Received: ${from}by ${HIDDEN_NAME}${withWhat};\r\n\t${when}\r\n`, "latin1");
}

/** `with Microsoft SMTP Server (version=TLS1_2, …)` is ESMTPS (RFC 3848). */
function microsoft(value: string, protocol: string): string {
  if (protocol !== "MICROSOFT SMTP SERVER") return "";
  return /\((?:version=)?TLS/i.test(value) ? " with ESMTPS" : " with ESMTP";
}
