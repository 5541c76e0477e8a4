/**
 * One open SMTP session to a peer, as the rooms hand it on. A plain `Session` may not carry mail:
 * only `admit` (verify/gate.ts) makes the `VerifiedSession` that deliver/ accepts.
 */
import type { Envelope, Recipient } from "./envelope.ts";
import type { PeerReply } from "./outcome.ts";
import type { PeerEvidence } from "./peer-evidence.ts";

export interface Session {
  /** The host connected to: its name (MX or next hop), and the sockets' two ends. */
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly localAddress: string | undefined;
  /** Absent: the session is in clear. */
  readonly evidence?: PeerEvidence;
  /** EHLO keywords as offered inside TLS, upper case, parameters dropped: `SIZE`, `8BITMIME`, `SMTPUTF8`, `DSN` … */
  readonly extensions: ReadonlySet<string>;
  /** Largest message in octets by the peer's SIZE; absent: no limit told. */
  readonly maxSize?: number;
  /** True when an earlier delivery used it. */
  readonly reused: boolean;
  /** MAIL, RCPT of each recipient, DATA. Never rejects: what happened is in the answer. */
  readonly send: (transaction: OutgoingTransaction) => Promise<TransactionReplies>;
  /** AUTH PLAIN or LOGIN, at most once per session. Only deliver/ calls it, once the peer has proven who it is. Never rejects. */
  readonly authenticate: (user: string, password: string) => Promise<LoginResult>;
}

/** One line of a session's dialogue; "tls": what a handshake agreed on. What peers say is untrusted. */
export interface DialogueLine {
  readonly from: "us" | "peer" | "tls";
  readonly text: string;
}
export type OnLine = (from: DialogueLine["from"], text: string) => void;

/** `refused` without a reply: the peer offers no mechanism of ours, or the session broke. */
export type LoginResult = "accepted" | { readonly refused: string; readonly smtp?: PeerReply };

export interface OutgoingTransaction {
  readonly reversePath: Envelope["reversePath"];
  readonly recipients: readonly Recipient[];
  /** Announced only where the peer offers the extension; deliver/ has checked that before. */
  readonly mail: Envelope["mail"];
  /** Octets of the content. */
  readonly size: number;
  /** Header and body; must fail, not end, when anything is wrong with it. */
  readonly content: AsyncIterable<Buffer> | Buffer;
}

/** Every reply of the peer, and where the session broke if it did. */
export interface TransactionReplies {
  readonly mail?: PeerReply;
  /** By recipient position. */
  readonly recipients: ReadonlyMap<number, PeerReply>;
  /** To DATA when refused there, else to the final dot. */
  readonly data?: PeerReply;
  /** The session ended without the reply that was due. `detail` is one sentence. */
  readonly lost?: { readonly stage: "mail" | "rcpt" | "data" | "final-dot"; readonly detail: string };
  /** The content could not be read (damaged or store failure): nothing was committed at the peer. */
  readonly contentError?: unknown;
}

/** What `admit` found: which demand was met, by what. */
export interface Verdict {
  /** Absent when nothing was demanded beyond TLS, or not even that. */
  readonly authenticatedBy?: "dane-ee" | "dane-ta" | "pkix" | "private-ca" | "fingerprint";
  /** The name, pin or TLSA record that matched. */
  readonly matched?: string;
  /** Not demanded, but the chain is valid and names the host. */
  readonly trusted: boolean;
}
