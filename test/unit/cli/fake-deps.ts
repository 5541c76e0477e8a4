/** Dependencies of a command that never touch the disk: what it wrote, and answers that a test lays over them. */
import type { CliDeps } from "../../../src/cli/deps.ts";
import { runCli } from "../../../src/cli/program.ts";
import type { Settings } from "../../../src/config/settings.ts";
import type { Policy } from "../../../src/decide/policy.ts";
import { policy } from "../decide/policies.ts";

export const NOW = Date.UTC(2026, 10, 25, 12);

export function settings(over: Partial<Policy> = {}): Settings {
  return {
    file: "/etc/sealpost/sealpost.yaml",
    files: [],
    folders: [],
    hostname: "relay.example.org",
    postmaster: "postmaster@example.org",
    dataDir: "/nowhere/data",
    accept: {
      hostname: "relay.example.org",
      ownDomains: [],
      tlsOnlyAliases: [],
      limits: {
        messageSize: 1,
        recipients: 1,
        connections: 1,
        connectionsPerClient: 1,
        messagesPerMinutePerClient: 0,
        receivedHeaders: 1,
        idleTimeoutMs: 1,
        commandTimeoutMs: 1,
        dataTimeoutMs: 1,
      },
      listeners: [],
    },
    dns: { resolvers: [], timeoutMs: 1 },
    delivery: {
      hostname: "relay.example.org",
      port: 25,
      sourceAddresses: [],
      ipVersions: [4],
      connectTimeoutMs: 1,
      commandTimeoutMs: 1,
      dataTimeoutMs: 1,
      messagesPerConnection: 1,
      idleConnectionMs: 1,
    },
    store: { dataDir: "/nowhere/data", keyFile: "/nowhere/queue.key", allowGroupRead: false, reserve: 0 },
    schedule: { retryMs: [1] },
    concurrencyPerDestination: 1,
    noticeLanguage: "en",
    policy: policy(over),
    smime: {
      trust: "system",
      recipients: [],
      harvested: [],
      ldap: null,
      revocation: { check: true, unreachable: "accept", allowPrivate: false },
    },
    ratePerDestination: 0,
    delayNoticesMs: [],
    historyMs: 0,
    alarms: { certificateDays: [30, 14, 7, 1], waitingMs: 0, mail: false },
    log: { level: "info", addresses: "full", to: "stdout" },
    admin: { address: "127.0.0.1", port: 8025, tokenFile: "/nowhere/admin.token", contentAccess: false },
  };
}

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

export async function run(args: readonly string[], over: Partial<CliDeps> = {}): Promise<Ran> {
  const seen = { out: "", error: "" };
  const never = (): never => {
    throw new Error("must not be called");
  };
  const code = await runCli(args, {
    stdout: { write: (text) => void (seen.out += String(text)) },
    stderr: { write: (text) => void (seen.error += String(text)) },
    stdin: (async function* () {})(),
    env: {},
    cwd: "/etc/sealpost",
    clock: { now: () => NOW, monotonic: () => 0, sleep: () => Promise.resolve(), after: () => () => undefined },
    random: { bytes: (length) => Buffer.alloc(length), fraction: () => 0 },
    version: "0.1.0",
    loadConfig: () => Promise.resolve({ ok: true, settings: settings(), warnings: [] }),
    startGateway: never,
    openQueue: never,
    queueActions: never,
    openOutside: never,
    hashPassword: never,
    onSignal: () => undefined,
    ...over,
  });
  return { code, ...seen };
}
