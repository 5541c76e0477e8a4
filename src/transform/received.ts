/**
 * The Received field that sealpost adds (RFC 5321 §4.4). Remote text enters only as a valid domain, address
 * or token, so no header can be injected.
 */
import { isIPv6 } from "node:net";
import type { Client } from "../mail/delivery.ts";
import { formatDomain, parseMailDomain } from "../mail/mailbox.ts";

export interface Hop {
  readonly client: Client;
  readonly hostname: string;
  readonly queueId: string;
  /** Epoch ms. */
  readonly at: number;
  readonly smtpUtf8: boolean;
}

/** One folded field, with its final CRLF. */
export function receivedField(hop: Hop): Buffer {
  const { client } = hop;
  const literal = isIPv6(client.address) ? `[IPv6:${client.address}]` : `[${client.address}]`;
  const helo = parseMailDomain(client.helo); // as A-labels, or not at all
  const lines = [`Received: from ${helo === undefined ? "unknown" : formatDomain(helo)} (${literal})`];
  if (client.tls !== undefined)
    lines.push(`(using ${token(client.tls.version)} with cipher ${token(client.tls.cipher)})`);
  lines.push(`by ${hop.hostname} (sealpost) with ${protocol(hop)} id ${hop.queueId};`);
  lines.push(rfc5322Date(hop.at));
  return Buffer.from(`${lines.join("\r\n\t")}\r\n`, "latin1");
}

/** RFC 3848 and RFC 6531 §4.3: S for TLS, A for AUTH. */
function protocol({ client, smtpUtf8 }: Hop): string {
  const suffix = `${client.tls === undefined ? "" : "S"}${client.via === "auth" ? "A" : ""}`;
  return `${smtpUtf8 ? "UTF8SMTP" : "ESMTP"}${suffix}`;
}

function token(text: string): string {
  return text.replace(/[^A-Za-z0-9._-]/g, "?");
}

/** RFC 5322 §3.3, in UTC. */
export function rfc5322Date(at: number): string {
  return new Date(at).toUTCString().replace("GMT", "+0000");
}
