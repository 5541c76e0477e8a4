/**
 * Who may relay, and in whose name. Pure. A client gets every permit that applies to it and needs one of them;
 * a client with none may send to nobody (no open relay).
 */
import { isBelow } from "../mail/domain-name.ts";
import type { Client } from "../mail/delivery.ts";
import { fieldValues } from "../mail/header-field.ts";
import { formatMailbox, type Mailbox } from "../mail/mailbox.ts";
import { fromMailboxes } from "../mail/from-field.ts";
import { matchesGlob } from "../mail/glob.ts";
import { isInNetwork } from "./networks.ts";
import type { ClientEntry, ListenerSettings, SenderRule, User } from "./settings.ts";

export interface Permit {
  readonly via: Exclude<Client["via"], "internal">;
  readonly senders: SenderRule;
  /** Fields that every message must carry: name → value. */
  readonly header: Readonly<Record<string, string>>;
}

/** What a client certificate showed, and whether it verifies under the configured CAs. */
export interface ShownCertificate {
  readonly subject: string;
  /** SHA-256 of the DER, 64 lower-case hex digits. */
  readonly sha256: string;
  /** dNSName entries, lower case. */
  readonly names: readonly string[];
  /** OpenSSL's code; absent when the chain verifies. */
  readonly error?: string;
}

export interface Peer {
  /** Announced by PROXY or XCLIENT where those were permitted, else the socket's. */
  readonly address: string;
  readonly user?: User;
  readonly certificate?: ShownCertificate;
}

/** The entry with the longest prefix that holds the address; entries past their end do not count. */
export function clientEntry(listener: ListenerSettings, address: string, now: number): ClientEntry | undefined {
  return listener.clients
    .filter((entry) => (entry.endsAt === undefined || now < entry.endsAt) && isInNetwork(address, entry.network))
    .toSorted((a, b) => b.network.prefix - a.network.prefix)[0];
}

export function permitsOf(listener: ListenerSettings, peer: Peer, now: number): readonly Permit[] {
  const permits: Permit[] = [];
  if (peer.user !== undefined) permits.push({ via: "auth", senders: peer.user.senders, header: {} });
  const wanted = listener.clientCertificates;
  if (wanted !== undefined && peer.certificate !== undefined && isAccepted(wanted, peer.certificate))
    permits.push({ via: "certificate", senders: listener.senders ?? "own", header: wanted.header });
  const entry = clientEntry(listener, peer.address, now);
  if (entry !== undefined)
    permits.push({ via: "network", senders: entry.senders ?? listener.senders ?? "any", header: {} });
  return permits;
}

type Wanted = NonNullable<ListenerSettings["clientCertificates"]>;

/** A pinned certificate counts by itself, unless it was revoked; any other must verify and carry a name. */
function isAccepted(wanted: Wanted, shown: ShownCertificate): boolean {
  if (wanted.fingerprints.includes(shown.sha256)) return shown.error !== "CERT_REVOKED";
  if (shown.error !== undefined || wanted.ca.length === 0) return false;
  if (wanted.names.length === 0) return wanted.fingerprints.length === 0;
  return wanted.names.some((pattern) =>
    shown.names.some((name) => ("host" in pattern ? name === pattern.host : isBelow(name, pattern.below))),
  );
}

/** Whether MAIL FROM is permitted; the null reverse-path always is (RFC 5321 §4.5.5). */
export function maySend(rule: SenderRule, ownDomains: readonly string[], sender: Mailbox | null): boolean {
  if (rule === "any" || sender === null) return true;
  if (rule === "own") return typeof sender.domain === "string" && ownDomains.includes(sender.domain);
  const address = formatMailbox(sender);
  return rule.some((pattern) => matchesGlob(pattern, address));
}

/** Whether the header keeps the permit: its From, and the fields that must be there. */
export function allowsHeader(permit: Permit, ownDomains: readonly string[], header: Buffer): boolean {
  const hasFields = Object.entries(permit.header).every(([name, value]) => fieldValues(header, name).includes(value));
  if (!hasFields) return false;
  if (permit.senders === "any") return true;
  const from = fromMailboxes(header);
  return from !== undefined && from.every((mailbox) => maySend(permit.senders, ownDomains, mailbox));
}
