/** Deliveries, policies and a session pool as the gateway would hold them, for tests of the way out. */
import { randomBytes } from "node:crypto";
import { createSecureContexts } from "../../src/connect/secure-contexts.ts";
import { createSessionPool, type SessionPool } from "../../src/connect/session-pool.ts";
import type { DeliverySettings } from "../../src/connect/settings.ts";
import { demandOf, tlsUse } from "../../src/decide/demand.ts";
import type { TlsPolicy } from "../../src/decide/policy.ts";
import type { Published } from "../../src/decide/published-requirement.ts";
import { deliver } from "../../src/deliver/transaction.ts";
import type { Delivery } from "../../src/mail/delivery.ts";
import type { MailParameters, Recipient } from "../../src/mail/envelope.ts";
import type { Host } from "../../src/mail/host.ts";
import { parseMailbox } from "../../src/mail/mailbox.ts";
import { type Outcome, problem, type Problem } from "../../src/mail/outcome.ts";
import type { Session, Verdict } from "../../src/mail/session.ts";
import type { TlsProfile } from "../../src/mail/tls-profile.ts";
import type { TrustSet } from "../../src/mail/tls-requirement.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { readEvidence } from "../../src/verify/evidence.ts";
import { admit } from "../../src/verify/gate.ts";
import type { Authority, Issued } from "./certificates.ts";
import type { MxServer } from "./mx-server.ts";

export const profile: TlsProfile = {
  name: "test",
  minVersion: "TLSv1.2",
  ciphers: "DEFAULT",
  groups: "X25519:P-256:P-384",
  signatureAlgorithms:
    "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:rsa_pss_rsae_sha256:rsa_pkcs1_sha256:rsa_pss_rsae_sha384:ed25519",
};

/** Speaks TLS 1.1 too, as an exception with an end date may. */
export const weakProfile: TlsProfile = { ...profile, name: "weak", minVersion: "TLSv1", ciphers: "DEFAULT@SECLEVEL=0" };

export const settings: DeliverySettings = {
  hostname: "relay.test",
  port: 25,
  sourceAddresses: [],
  ipVersions: [4, 6],
  connectTimeoutMs: 5_000,
  commandTimeoutMs: 5_000,
  dataTimeoutMs: 5_000,
  messagesPerConnection: 100,
  idleConnectionMs: 5_000,
};

export function trusting(authorities: readonly Issued[], crl: readonly string[] = []): TrustSet {
  const ca = authorities.map(({ certificate }) => certificate);
  return { id: [...authorities.map(({ sha256 }) => sha256), ...crl].join() || "none", ca, crl };
}

export function policy(authority: Authority, bent: Partial<TlsPolicy> = {}): TlsPolicy {
  return {
    level: "encrypt",
    match: [],
    trust: trusting([authority]),
    fingerprints: [],
    minVersion: "TLSv1.2",
    profile,
    dane: "honour",
    mtaSts: "honour",
    tlsRequiredNo: "ignore",
    ...bent,
  };
}

export function hostOf(mx: MxServer, bent: Partial<Host> = {}): Host {
  return {
    name: "mx.acme.test",
    address: mx.address,
    port: mx.port,
    route: "mx",
    learnedFromMx: true,
    implicitTls: false,
    ...bent,
  };
}

export function recipient(position: number, address: string, bent: Partial<Recipient> = {}): Recipient {
  const mailbox = parseMailbox(address);
  if (mailbox === undefined) throw new Error(`not an address: ${address}`);
  return { position, mailbox, ...bent };
}

export interface Letter {
  readonly to?: readonly Recipient[];
  readonly from?: string | null;
  readonly mail?: Partial<MailParameters>;
  readonly content?: Buffer;
}

export const letterContent = Buffer.from("Subject: hello\r\n\r\n.a line with a dot\r\nbody\r\n");

export function deliveryOf({ to, from = "anna@sender.test", mail, content = letterContent }: Letter = {}): Delivery {
  const recipients = to ?? [recipient(0, "bob@acme.test")];
  return {
    id: randomBytes(8).toString("hex"),
    domain: "acme.test",
    recipients,
    attempts: 0,
    content: 0,
    expiresAt: Date.now() + 86_400_000,
    message: {
      id: randomBytes(16).toString("hex"),
      envelope: {
        reversePath: from === null ? null : (parseMailbox(from) ?? null),
        mail: { body: "7BIT", smtpUtf8: false, requireTls: false, ...mail },
        recipients,
      },
      size: content.length,
      receivedAt: Date.now(),
      listener: "smarthost",
      client: { address: "127.0.0.1", port: 1, helo: "client.test", via: "network" },
      notice: false,
      contents: [{ size: content.length }],
    },
  };
}

export interface WayOut {
  readonly pool: SessionPool;
  readonly stop: AbortController;
  /** One attempt at one host: connect, admit, deliver, give back. */
  readonly attempt: (host: Host, tls: TlsPolicy, letter?: Sent) => Promise<Attempted>;
}

export interface Sent extends Letter {
  readonly delivery?: Delivery;
  /** Instead of the content at once. */
  readonly stream?: () => AsyncIterable<Buffer>;
  readonly now?: number;
  readonly fresh?: boolean;
  /** Default: nothing was asked. */
  readonly published?: Published;
}

export interface Attempted {
  readonly problem?: Problem<"deferred">;
  readonly outcomes?: ReadonlyMap<number, Outcome>;
  readonly session?: Session;
  readonly verdict?: Verdict;
}

export function wayOut(bent: Partial<DeliverySettings> = {}): WayOut {
  const stop = new AbortController();
  const pool = createSessionPool({
    clock: systemClock,
    settings: () => ({ ...settings, ...bent }),
    contexts: createSecureContexts(),
    readEvidence,
    stopping: stop.signal,
  });
  const attempt: WayOut["attempt"] = async (host, tls, letter = {}) => {
    const delivery = letter.delivery ?? deliveryOf(letter);
    const { route, learnedFromMx, nextHopName } = host;
    const target = {
      host: host.name,
      route,
      learnedFromMx,
      mxSecure: host.dnssec?.mx === "secure",
      recipientDomain: delivery.domain,
      ...(nextHopName !== undefined && { nextHopName }),
    };
    const demand = demandOf(tls, target, letter.published ?? {});
    if ("waits" in demand) return { problem: problem("deferred", demand.waits, demand.detail) };
    const { servername } = demand;
    const session = await pool.connect(host, {
      use: tlsUse(tls, demand),
      policy: servername === undefined ? tls : { ...tls, servername },
      fresh: letter.fresh ?? false,
    });
    if ("kind" in session) return { problem: session };
    const admission = admit(session, demand.requirement, delivery.id, letter.now ?? Date.now());
    if ("kind" in admission) {
      pool.dismiss(session);
      return { problem: admission, session };
    }
    const content = letter.stream ?? (() => letter.content ?? letterContent);
    const outcomes = await deliver(admission.verified, delivery, {
      content,
      ...(host.auth && { auth: host.auth }),
    }).finally(() => pool.release(session));
    return { outcomes, session, verdict: admission.verdict };
  };
  return { pool, stop, attempt };
}

/** Waits for something to become true, at most five seconds. */
export async function until(condition: () => boolean, what = "condition"): Promise<void> {
  for (const end = performance.now() + 5_000; !condition(); ) {
    if (performance.now() > end) throw new Error(`timed out waiting for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
