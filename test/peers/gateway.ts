/** A whole gateway in this process: configuration in a temporary folder, its log as values, and one line to send mail. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { stringify } from "yaml";
import { diskFiles } from "../../src/config/files.ts";
import { loadConfig } from "../../src/config/load.ts";
import { selfSigned } from "../../src/config/self-signed.ts";
import { type Gateway, startGateway } from "../../src/gateway.ts";
import { type Clock, systemClock } from "../../src/runtime/clock.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { SmtpClient } from "./smtp-client.ts";

export type Tree = Readonly<Record<string, unknown>>;
export type Line = Readonly<Record<string, unknown>> & { readonly event: string };

export interface Site {
  readonly folder: string;
  readonly log: Line[];
  /** Writes a file below the folder, 0600; answers with its path. */
  readonly write: (name: string, content: string) => Promise<string>;
  readonly configure: (settings: Tree) => Promise<void>;
  readonly partner: (id: string, content: Tree) => Promise<void>;
  readonly start: () => Promise<Gateway>;
  /** The gateway that was started last. */
  readonly gateway: () => Gateway;
  /** Waits for a line of the log. */
  readonly logged: (event: string, matches?: (line: Line) => boolean) => Promise<Line>;
  /** Hands one message in; answers with the last reply. */
  readonly send: (message: Letter) => Promise<string>;
  readonly close: () => Promise<void>;
}

export interface Letter {
  readonly from?: string;
  readonly to: string | readonly string[];
  readonly content?: string;
}

const DEADLINE_MS = 10_000;

/** `clock`: what the gateway takes for the time; a test may move it. */
export async function createSite(settings: Tree = {}, clock: Clock = systemClock): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), "sealpost-site-"));
  const log: Line[] = [];
  let running: Gateway | undefined;
  await mkdir(join(folder, "config/partners"), { recursive: true });
  const write = async (name: string, content: string): Promise<string> => {
    await writeFile(join(folder, name), content, { mode: 0o600 });
    return join(folder, name);
  };
  const gateway = (): Gateway => {
    if (running === undefined) throw new Error("The gateway is not running");
    return running;
  };
  const site: Site = {
    folder,
    log,
    write,
    configure: async (over) => void (await write("config/sealpost.yaml", stringify({ ...base, ...over }))),
    partner: async (id, content) => void (await write(`config/partners/${id}.yaml`, stringify(content))),
    gateway,
    start: async () => {
      const deps = { files: diskFiles, env: {}, clock, selfSigned };
      const started = await startGateway({
        clock,
        random: systemRandom,
        version: "test",
        loadConfig: (generation) => loadConfig(join(folder, "config/sealpost.yaml"), deps, generation),
        write: (line) => void log.push(JSON.parse(line) as Line),
      });
      if (!started.ok) throw new Error(`exit ${started.exitCode}: ${started.lines.join("\n")}`);
      running = started.gateway;
      return running;
    },
    logged: async (event, matches = () => true) => {
      for (const end = performance.now() + DEADLINE_MS; performance.now() < end; await pause(5)) {
        const found = log.find((line) => line.event === event && matches(line));
        if (found !== undefined) return found;
      }
      throw new Error(`No ${event} in the log:\n${log.map((line) => JSON.stringify(line)).join("\n")}`);
    },
    send: (letter) => send(gateway().listeners[0]?.port ?? 0, letter),
    close: async () => {
      await running?.stop("test");
      await rm(folder, { recursive: true, force: true });
    },
  };
  await site.configure(settings);
  return site;
}

/** What every test needs and none is about. */
const base: Tree = {
  hostname: "relay.own.test",
  postmaster: "postmaster@own.test",
  dns: { resolvers: ["127.0.0.1:9"], timeout: "1s" },
  listeners: [{ name: "smarthost", address: "127.0.0.1", port: 0, clients: ["127.0.0.0/8"] }],
  queue: { retry: ["1s"], reserve: "1MiB" },
  admin: { port: 0 },
  alarms: { mail: false },
};

async function send(
  port: number,
  { from = "anna@own.test", to, content = "Subject: x\r\n\r\nhello\r\n" }: Letter,
): Promise<string> {
  const client = await SmtpClient.connect({ port });
  await client.reply();
  for (const command of [
    "EHLO pc.own.test",
    `MAIL FROM:<${from}>`,
    ...[to].flat().map((one) => `RCPT TO:<${one}>`),
    "DATA",
  ]) {
    const { code, text } = await client.ask(command);
    if (code >= 400) return text;
  }
  const { text } = await client.ask(`${content}.`);
  client.close();
  return text;
}
