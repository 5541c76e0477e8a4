/** Listeners on loopback with a `receive` that keeps what it is given. Shared by the accept tests. */
import { onTestFinished } from "vitest";
import type { AcceptDeps } from "../../src/accept/deps.ts";
import { createListeners, type Bound, type Listeners } from "../../src/accept/listener.ts";
import type { AcceptSettings, Limits, ListenerSettings, OwnCertificate } from "../../src/accept/settings.ts";
import { reply, type SmtpReply } from "../../src/mail/smtp-reply.ts";
import type { TlsProfile } from "../../src/mail/tls-profile.ts";
import type { Transaction } from "../../src/mail/transaction.ts";
import type { Events } from "../../src/report/events.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { createAuthority } from "../peers/certificates.ts";
import { type ClientOptions, SmtpClient } from "../peers/smtp-client.ts";

export const profile: TlsProfile = {
  name: "intermediate@test",
  minVersion: "TLSv1.2",
  ciphers: "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384",
  groups: "X25519:P-256",
  signatureAlgorithms: "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256:ed25519:rsa_pkcs1_sha256",
};

export const authority = createAuthority("Test CA");

export function ownCertificate(...names: string[]): OwnCertificate {
  const issued = authority.issue({ names });
  return { certificate: issued.chain, key: issued.key, names };
}

export const loopback = { network: { address: "127.0.0.0", prefix: 8 }, normalizeBareLf: false } as const;
export const relayCertificate = ownCertificate("relay.example.org");

export function listenerSettings(changes: Partial<ListenerSettings> = {}): ListenerSettings {
  return {
    name: "smarthost",
    direction: "outbound",
    address: "127.0.0.1",
    port: 0,
    tls: "offer",
    profile,
    certificates: [relayCertificate],
    greetDelayMs: 0,
    clients: [loopback],
    xclient: [],
    proxyProtocol: [],
    ...changes,
  };
}

export function acceptSettings(listener: Partial<ListenerSettings> = {}, limits: Partial<Limits> = {}): AcceptSettings {
  return {
    hostname: "relay.example.org",
    ownDomains: ["example.org"],
    tlsOnlyAliases: [],
    limits: {
      messageSize: 1024 * 1024,
      recipients: 1000,
      connections: 1000,
      connectionsPerClient: 100,
      messagesPerMinutePerClient: 0,
      receivedHeaders: 50,
      idleTimeoutMs: 300_000,
      commandTimeoutMs: 300_000,
      dataTimeoutMs: 600_000,
      ...limits,
    },
    listeners: [listenerSettings(listener)],
  };
}

export interface Kept {
  readonly transaction: Transaction;
  readonly header: string;
  readonly body: string;
}

export type Logged = { [K in keyof Events]: { readonly event: K; readonly fields: Events[K] } }[keyof Events];

export interface Gateway {
  readonly port: number;
  readonly listeners: Listeners;
  readonly bound: readonly Bound[];
  readonly kept: Kept[];
  readonly events: Logged[];
  readonly fieldsOf: <K extends keyof Events>(event: K) => Events[K][];
  readonly connect: (options?: Partial<ClientOptions>) => Promise<SmtpClient>;
  readonly greeted: (options?: Partial<Parameters<typeof SmtpClient.greeted>[0]>) => Promise<SmtpClient>;
}

/** Bound, and stopped when the test is over. */
export async function gateway(settings: AcceptSettings, changes: Partial<AcceptDeps> = {}): Promise<Gateway> {
  const kept: Kept[] = [];
  const events: Logged[] = [];
  const listeners = createListeners({
    clock: systemClock,
    random: systemRandom,
    settings,
    receive: async (transaction) => keep(transaction, kept),
    decideRecipient: () => undefined,
    usable: () => true,
    full: () => false,
    emit: (event, fields) => void events.push({ event, fields } as Logged),
    ...changes,
  });
  const bound = await listeners.listen();
  const port = bound[0]?.port ?? 0;
  const clients: SmtpClient[] = [];
  const noted = (client: SmtpClient): SmtpClient => {
    clients.push(client);
    return client;
  };
  onTestFinished(async () => {
    for (const client of clients) client.close();
    await listeners.stop(0);
  });
  return {
    port,
    listeners,
    bound,
    kept,
    events,
    fieldsOf: (wanted) =>
      events.flatMap(({ event, fields }) => (event === wanted ? [fields as Events[typeof wanted]] : [])),
    connect: async (options = {}) => noted(await SmtpClient.connect({ port, ...options })),
    greeted: async (options = {}) => noted(await SmtpClient.greeted({ port, ...options })),
  };
}

async function keep(transaction: Transaction, kept: Kept[]): Promise<SmtpReply> {
  const chunks: Buffer[] = [];
  for await (const chunk of transaction.body) chunks.push(Buffer.from(chunk));
  const header = transaction.header.toString("latin1");
  kept.push({ transaction, header, body: Buffer.concat(chunks).toString("latin1") });
  return reply(250, "0.0", `${String(kept.length).padStart(32, "0")} queued`);
}

/** Polls until `condition` holds; fails when it does not within `ms`. */
export async function until(condition: () => boolean, ms = 5_000): Promise<void> {
  const deadline = Date.now() + ms;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error("the condition never held");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
