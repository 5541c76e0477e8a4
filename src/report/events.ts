/**
 * The closed map of events to their fields (contract section 8): one event, one call. Every line also carries
 * time, level, event, msg, gateway and worker, which the log adds. Content is never a field.
 */
import type { Client } from "../mail/delivery.ts";
import type { PeerReply, Reason } from "../mail/outcome.ts";
import type { DkimTreated, SmimeTreated } from "../mail/treatment.ts";

/** `{queueId, messageId …}` of a message as far as known. */
export interface MessageFields {
  readonly queueId: string;
  readonly messageId: string | undefined;
  readonly sender: string;
}

export interface MxFields {
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly localAddress: string | undefined;
}

export interface PeerFields {
  readonly subject: string;
  readonly names: readonly string[];
  readonly issuer: string;
  /** ISO 8601 */
  readonly notAfter: string;
  readonly keyType: string;
  readonly keyBits: number | undefined;
  readonly sha256: string;
  readonly spkiSha256: string;
}

/** What the destination publishes; what was not asked is undefined. */
export interface PublishedFields {
  /** DNSSEC vouches for the MX that names the host. */
  readonly mxSecure: boolean;
  readonly dane: "usable" | "unusable" | "absent" | "insecure" | "untrusted-resolver" | "unknown" | undefined;
  readonly mtaSts:
    | "enforce"
    | "testing"
    | "none"
    | "unknown"
    | "sts-policy-fetch-error"
    | "sts-policy-invalid"
    | "sts-webpki-invalid"
    | undefined;
}

export interface TlsFields {
  /** A level of the contract. */
  readonly demanded: string;
  readonly demandedBy: readonly ("partner" | "default" | "exception" | "rule" | "message" | "dane" | "mta-sts")[];
  /** What is published was not demanded, by the sender's wish. */
  readonly tlsRequiredNo: true | undefined;
  readonly result: "none" | "encrypted" | "trusted" | "authenticated";
  /** DSK Orientierungshilfe */
  readonly assurance: "none" | "mandatory" | "qualified";
  readonly version: string | undefined;
  readonly cipher: string | undefined;
  readonly group: string | undefined;
  readonly profile: string | undefined;
  readonly sni: string | undefined;
  readonly authenticatedBy: "dane-ee" | "dane-ta" | "pkix" | "private-ca" | "fingerprint" | undefined;
  /** The name, pin or TLSA record that matched. */
  readonly matched: string | undefined;
  readonly published: PublishedFields | undefined;
  readonly peer: PeerFields | undefined;
  readonly reused: boolean | undefined;
}

export interface DeliveryFields extends MessageFields {
  readonly recipients: readonly string[];
  readonly domain: string;
  readonly partner: string | null;
  readonly direction: "outbound";
  /** 1 for the first. */
  readonly attempt: number;
  readonly outcome: "delivered" | "deferred" | "failed";
  readonly route: "mx" | "next-hop";
  readonly mode: "enforce" | "report";
  readonly exception: { readonly approvedBy: string; readonly reason: string; readonly until: string } | undefined;
  readonly rules: readonly string[];
  readonly mx: MxFields | undefined;
  readonly tls: TlsFields | undefined;
  readonly reason: Reason | undefined;
  /** In report mode: the reason for which `enforce` would have let it wait. */
  readonly wouldDefer: Reason | undefined;
  readonly smtp: PeerReply | undefined;
  readonly detail: string | undefined;
  readonly bytes: number;
  /** What was done before it was stored; undefined where nothing was, nor wanted. */
  readonly smime: SmimeTreated | undefined;
  readonly dkim: DkimTreated | undefined;
  readonly durationMs: number;
  /** Since acceptance. */
  readonly delayMs: number;
  /** ISO 8601 */
  readonly nextAttempt: string | undefined;
  /** ISO 8601 */
  readonly expires: string;
  /** Of the policy that judged this attempt. */
  readonly generation: number;
}

export interface Events {
  readonly "gateway.started": { readonly version: string; readonly config: string; readonly pid: number };
  readonly "gateway.ready": {
    readonly listeners: readonly {
      readonly name: string;
      readonly direction: string;
      readonly address: string;
      readonly port: number;
    }[];
    readonly admin: { readonly address: string; readonly port: number };
  };
  readonly "gateway.stopped": { readonly reason: string };
  readonly "config.reloaded": { readonly generation: number; readonly files: number };
  readonly "config.refused": { readonly problems: readonly string[] };
  /** The configured policy of a partner, or with null the default, is another one since this reload. */
  readonly "policy.changed": { readonly partner: string | null; readonly generation: number };
  readonly "session.refused": SessionFields & { readonly code: number; readonly reason: string };
  readonly "auth.failed": SessionFields & { readonly user: string | undefined; readonly reason: string };
  readonly "tls.failed": SessionFields & { readonly reason: string; readonly detail: string };
  readonly "limit.hit": SessionFields & { readonly limit: string; readonly value: number };
  readonly "message.accepted": MessageFields & {
    readonly session: string;
    readonly listener: string;
    readonly client: Client;
    readonly fromDomain: string | undefined;
    readonly recipients: readonly string[];
    readonly size: number;
    readonly partners: readonly string[];
    readonly rules: readonly string[];
    readonly requireTls: boolean;
    /** RFC 8689 §3; undefined where the header does not say it. */
    readonly tlsRequiredNo: true | undefined;
    /** Header fields that should have gone and stayed: another domain's valid DKIM signature covers them. */
    readonly headersKept: readonly string[] | undefined;
  };
  readonly "message.refused": SessionFields & {
    readonly stage: "connect" | "mail" | "rcpt" | "data";
    readonly code: number;
    readonly enhancedCode: string;
    readonly reason: string;
    /** Those that refuse it; undefined where none does. */
    readonly rules: readonly string[] | undefined;
    readonly sender: string | undefined;
    readonly recipients: readonly string[];
    readonly client: Client | undefined;
  };
  readonly delivery: DeliveryFields;
  /** An announced MTA-STS policy could not be had, or not be kept. */
  readonly "mta-sts.failed": {
    readonly domain: string;
    readonly result: string;
    readonly detail: string;
    /** ISO 8601: until then the policy fetched earlier applies; none does when it is undefined. */
    readonly cachedUntil: string | undefined;
  };
  readonly "message.finished": {
    readonly queueId: string;
    readonly outcome: readonly { readonly recipient: string; readonly end: string }[];
    readonly shredded: boolean;
  };
  /** The time of recipients has passed, and another message goes on in its place (a step of the ladder). */
  readonly "message.moved": {
    readonly queueId: string;
    /** Queue id of the other. */
    readonly into: string;
    readonly reason: string;
    readonly approvedBy: string;
  };
  readonly "notice.queued": {
    readonly queueId: string;
    readonly about: string;
    /** copy: of a delay notice, to the partner's owner. undeliverable: about a notice of ours, to the postmaster. */
    readonly kind: "failure" | "delay" | "relayed" | "delivered" | "copy" | "undeliverable" | "alarm";
    readonly recipient: string;
    readonly status: readonly string[];
  };
  readonly "queue.action": {
    readonly action: "retry" | "hold" | "release" | "bounce" | "remove" | "reroute";
    readonly matched: number;
    readonly reason: string | undefined;
    readonly filter: Readonly<Record<string, string>>;
  };
  readonly "admin.action": {
    readonly action: string;
    /** Of the client of the admin listener; "local" for a command on a stopped gateway. */
    readonly address: string;
    /** The account that ran the command; undefined when it did not say. */
    readonly who: string | undefined;
    readonly why: string | undefined;
    readonly detail: string;
  };
  /** Everything that the queue keeps is wrapped by the new queue key, and the old ones are gone from the key file. */
  readonly "key.rotated": { readonly keyId: string; readonly dropped: readonly string[] };
  readonly "admin.denied": { readonly address: string; readonly path: string; readonly reason: string };
  readonly "exception.ended": { readonly partner: string | null; readonly approvedBy: string; readonly reason: string };
  readonly "exception.started": {
    readonly partner: string | null;
    readonly approvedBy: string;
    readonly reason: string;
    readonly until: string;
  };
  readonly alarm: {
    readonly code: string;
    readonly partner: string | null;
    readonly state: "raised" | "cleared";
    readonly since: string;
    readonly until: string | undefined;
    readonly remedy: string;
  };
  readonly error: { readonly kind: string; readonly detail: string };
}

/** Of a session with a client of ours, whatever became of it. */
export interface SessionFields {
  /** Our random id of the session. */
  readonly session: string;
  readonly listener: string;
  readonly address: string;
  readonly port: number;
}

export type Emit = <K extends keyof Events>(event: K, fields: Events[K]) => void;
