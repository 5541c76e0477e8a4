/** The ending of an attempt, per recipient, and why a delivery waits or failed (contract: `reason`). */
import type { TlsFailure } from "./tls-failure.ts";

export type Reason =
  | TlsFailure
  | "smtputf8-not-supported"
  | "8bitmime-not-supported"
  | "dns-failed"
  | "no-such-domain"
  | "host-not-found"
  | "null-mx"
  | "connection-failed"
  | "connection-lost"
  | "smtp-4xx"
  | "smtp-5xx"
  | "loop"
  /** Our own `outbound.unlisted: refuse`: nobody was asked. */
  | "not-permitted"
  /** Stored without the S/MIME or DKIM that the policy of now demands. */
  | "treatment-required"
  | "expired"
  /** A person ended it: `queue bounce`. */
  | "bounced"
  /** A defect of ours; the mail waits. */
  | "internal-error";

/** The peer's reply, or ours in its place: text is untrusted. */
export interface PeerReply {
  readonly code: number;
  readonly enhancedCode?: string;
  readonly text: string;
}

export type Outcome =
  | { readonly kind: "delivered"; readonly smtp: PeerReply }
  | Problem<"deferred">
  | Problem<"failed">;

export interface Problem<Kind extends "deferred" | "failed"> {
  readonly kind: Kind;
  readonly reason: Reason;
  /** One sentence for people; may quote the peer. */
  readonly detail: string;
  /** RFC 3463 status for notices: TLS 4.7.5, DNS 4.4.3, connection 4.4.1 … */
  readonly status: string;
  readonly smtp?: PeerReply;
  /** The session broke after the final dot: the peer may have the message, so no other host is tried at once. */
  readonly mayBeDelivered?: true;
  /** What the policy honours of what is published kept the host from being tried: another policy may not ask for it. */
  readonly ofPolicy?: true;
}

const STATUS: Partial<Record<Reason, string>> = {
  "dns-failed": "4.3",
  "no-such-domain": "1.2",
  "host-not-found": "4.4",
  "null-mx": "1.10",
  "connection-failed": "4.1",
  "connection-lost": "4.2",
  "smtputf8-not-supported": "6.7",
  "8bitmime-not-supported": "6.3",
  "requiretls-not-supported": "7.30",
  loop: "4.6",
  "not-permitted": "7.1",
  "treatment-required": "7.1",
  expired: "4.7",
  bounced: "7.1",
  "internal-error": "3.0",
};

const TLS_STATUS = "7.5";

/** A problem whose status follows from its reason; for a peer's own reply give `smtp`, whose code then counts. */
export function problem<Kind extends "deferred" | "failed">(
  kind: Kind,
  reason: Reason,
  detail: string,
  smtp?: PeerReply,
): Problem<Kind> {
  const fromPeer = smtp?.enhancedCode?.startsWith(classOf(kind)) === true ? smtp.enhancedCode : undefined;
  return { kind, reason, detail, status: fromPeer ?? statusOfReason(kind, reason), ...(smtp && { smtp }) };
}

/** RFC 3463, where the peer gave none of its own. */
export function statusOfReason(kind: "deferred" | "failed", reason: Reason): string {
  const generic = reason === "smtp-4xx" || reason === "smtp-5xx" ? "0.0" : TLS_STATUS;
  return `${classOf(kind)}.${STATUS[reason] ?? generic}`;
}

function classOf(kind: "deferred" | "failed"): "4" | "5" {
  return kind === "deferred" ? "4" : "5";
}
