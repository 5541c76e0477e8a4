/** Pieces that the texts of all notices share: the message's subject as its sender knows it, recipients by name. */
import { fieldValues } from "../mail/header-field.ts";
import type { MessageFacts } from "../mail/delivery.ts";
import type { Recipient } from "../mail/envelope.ts";
import { formatMailbox } from "../mail/mailbox.ts";
import type { Reason } from "../mail/outcome.ts";
import type { TlsFailure } from "../mail/tls-failure.ts";
import { decodeWords } from "../mail/encoded-words.ts";
import { visible } from "./header-line.ts";
import type { Block } from "./render.ts";
import type { Wording } from "./wording.ts";

/** Shown by name; the delivery-status part has them all. */
const MOST_RECIPIENTS = 30;

export interface About {
  readonly hostname: string;
  readonly message: MessageFacts;
  readonly header: Buffer;
  /** False: nothing that stands in the header is told. */
  readonly withOriginal: boolean;
}

/** What an opening sentence is given. */
export function openingOf(
  { hostname, message, header, withOriginal }: About,
  wording: Wording,
): { readonly hostname: string; readonly received: string; readonly subject: string } {
  const written = withOriginal ? (fieldValues(header, "Subject")[0] ?? "") : "";
  const subject = visible(decodeWords(written.slice(0, 1_000)), 150);
  return { hostname, received: wording.date(message.receivedAt), subject };
}

export function recipientList(recipients: readonly { readonly recipient: Recipient }[], { failure }: Wording): Block {
  const names = recipients
    .slice(0, MOST_RECIPIENTS)
    .map(({ recipient }) => visible(formatMailbox(recipient.mailbox), 400));
  const more = recipients.length > names.length ? [failure.andMore(recipients.length - names.length)] : [];
  return { kind: "list", items: [...names, ...more] };
}

export function text(words: string): Block {
  return { kind: "text", text: words };
}

const TLS: Readonly<Record<TlsFailure, true>> = {
  "starttls-not-supported": true,
  "certificate-host-mismatch": true,
  "certificate-expired": true,
  "certificate-not-trusted": true,
  "validation-failure": true,
  "tlsa-invalid": true,
  "dnssec-invalid": true,
  "dane-required": true,
  "sts-policy-fetch-error": true,
  "sts-policy-invalid": true,
  "sts-webpki-invalid": true,
  "tls-parameters-too-weak": true,
  "fingerprint-mismatch": true,
  "client-certificate-demanded": true,
  "requiretls-not-supported": true,
  "mx-not-in-policy": true,
};

export function isTls(reason: Reason): boolean {
  return Object.hasOwn(TLS, reason);
}
