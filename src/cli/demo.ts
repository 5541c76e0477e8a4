/**
 * `sealpost demo`: a real gateway and four simulated partners on loopback. Mail is handed in, and what became of it is
 * told from the gateway's own log. Needs nothing installed, touches nothing but a temporary folder, sends nothing out.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDemoAuthority } from "./demo-certificates.ts";
import { createPartner, handIn, type Partner } from "./demo-partners.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, type Gateway, printJson, refuse } from "./deps.ts";
import { queueAct } from "./queue.ts";
import { painter, printable, table, wrapped } from "./text.ts";

/** As far as the demo reads `delivery` lines of the log. */
interface Told {
  readonly event: string;
  readonly domain: string;
  readonly outcome: "delivered" | "deferred" | "failed";
  readonly reason?: string;
  readonly detail?: string;
  readonly tls?: { readonly version?: string; readonly matched?: string; readonly authenticatedBy?: string };
}

interface Scene {
  readonly domain: string;
  readonly story: string;
  readonly partner: Partner;
  /** The partner file. */
  readonly policy: string;
}

const LONGEST_WAIT_MS = 30_000;

export async function demo(deps: CliDeps, common: Common): Promise<ExitCode> {
  const folder = await mkdtemp(join(tmpdir(), "sealpost-demo-"));
  const told: Told[] = [];
  const ends: (() => Promise<unknown>)[] = [];
  let broken = false;
  deps.onSignal("SIGINT", () => {
    broken = true;
  });
  const waitFor = async (domain: string, outcome: Told["outcome"]): Promise<Told | undefined> => {
    const until = deps.clock.monotonic() + LONGEST_WAIT_MS;
    while (deps.clock.monotonic() < until && !broken) {
      const found = told.find((event) => event.domain === domain && event.outcome === outcome);
      if (found !== undefined) return found;
      await deps.clock.sleep(20);
    }
    return undefined;
  };
  const listen = (line: string): void => {
    const event = JSON.parse(line) as Told;
    if (event.event === "delivery") told.push(event);
  };
  try {
    const { scenes, recover } = await setTheStage(deps, folder, ends);
    const configFile = join(folder, "sealpost.yaml");
    const started = await deps.startGateway({ configFile, write: listen });
    if (!started.ok) return refuse(deps, started.exitCode, ["The demo's gateway does not start:", ...started.lines]);
    ends.push(() => started.gateway.stop("the demo is over"));
    return await play({ deps, common, scenes, recover, waitFor, gateway: started.gateway, configFile });
  } finally {
    for (const end of ends.toReversed()) await end();
    await rm(folder, { recursive: true, force: true });
  }
}

async function setTheStage(deps: CliDeps, folder: string, ends: (() => Promise<unknown>)[]) {
  const now = deps.clock.now();
  const trusted = createDemoAuthority("Demo Partners CA", now);
  const foreign = createDemoAuthority("Somebody Else CA", now);
  const secure = (domain: string) => `  tls: {level: secure, match: [mx.${domain}], ca: ../partners-ca.pem}`;
  const casts = [
    ["good.example", "has a certificate of its own CA", trusted.issue("mx.good.example", 1), secure("good.example")],
    ["plain.example", "offers no encryption at all", undefined, "  tls: {level: encrypt}"],
    [
      "foreign.example",
      "shows a certificate of a CA we do not trust",
      foreign.issue("mx.foreign.example", 1),
      secure("foreign.example"),
    ],
    [
      "recovers.example",
      "let its certificate expire",
      trusted.issue("mx.recovers.example", -2),
      secure("recovers.example"),
    ],
  ] as const;
  const scenes: Scene[] = [];
  for (const [domain, story, identity, tls] of casts) {
    const partner = await createPartner(`mx.${domain}`, identity);
    ends.push(partner.close);
    const hop = `  next_hop: "[127.0.0.1]:${partner.port}"`;
    scenes.push({ domain, story, partner, policy: `domains: [${domain}]\noutbound:\n${hop}\n${tls}\n` });
  }
  await mkdir(join(folder, "partners"));
  await writeFile(join(folder, "partners-ca.pem"), trusted.certificate);
  await writeFile(join(folder, "sealpost.yaml"), CONFIGURATION);
  for (const { domain, policy } of scenes) await writeFile(join(folder, "partners", `${domain}.yaml`), policy);
  return { scenes, recover: () => scenes[3]?.partner.use(trusted.issue("mx.recovers.example", 1)) };
}

const CONFIGURATION = `hostname: relay.demo.example
postmaster: postmaster@demo.example
data_dir: data
listeners: [{name: smarthost, address: 127.0.0.1, port: 0, tls: offer, clients: [127.0.0.0/8]}]
queue: {key_file: keys/queue.key, retry: [1h], reserve: 1MiB}
admin: {address: 127.0.0.1, port: 0, token_file: data/admin.token}
`;

interface Play {
  readonly deps: CliDeps;
  readonly common: Common;
  readonly scenes: readonly Scene[];
  readonly recover: () => void;
  readonly waitFor: (domain: string, outcome: Told["outcome"]) => Promise<Told | undefined>;
  readonly gateway: Gateway;
  readonly configFile: string;
}

async function play(stage: Play): Promise<ExitCode> {
  const { deps, scenes, gateway, waitFor } = stage;
  const tell = teller(stage);
  const [listener] = gateway.listeners;
  if (listener === undefined) return refuse(deps, EXIT.no, ["The demo's gateway has no listener."]);
  tell.opening(scenes, listener.port);
  for (const { domain } of scenes) await handIn(listener, "anna@demo.example", `bea@${domain}`);
  for (const scene of scenes) {
    const event = await waitFor(scene.domain, scene.domain === "good.example" ? "delivered" : "deferred");
    if (event === undefined) return refuse(deps, EXIT.no, [`The mail to ${scene.domain} did not end as it should.`]);
    tell.ending(scene, event);
  }
  const last = scenes.at(-1);
  if (last === undefined) return EXIT.no;
  stage.recover();
  tell.recovery(last);
  const silent = { ...deps, stdout: { write: () => undefined } };
  const config = { config: stage.configFile, json: false };
  const retried = await queueAct(silent, config, "retry", { id: undefined, domain: last.domain });
  const event = retried === EXIT.good ? await waitFor(last.domain, "delivered") : undefined;
  if (event === undefined) return refuse(deps, EXIT.no, [`The mail to ${last.domain} did not arrive after all.`]);
  tell.ending(last, event);
  tell.closing();
  return EXIT.good;
}

/** The account, for people or for machines. */
function teller({ deps, common }: Play) {
  const paint = painter(deps.stdout, deps.env);
  const say = (text: string): void => {
    if (!common.json) deps.stdout.write(`${text}\n`);
  };
  return {
    opening: (scenes: readonly Scene[], port: number): void => {
      say(paint("bold", "A gateway and four partners on this machine. Nothing leaves it."));
      for (const line of table(scenes.map(({ domain, story }) => [`  ${domain}`, story]))) say(line);
      say(`\nA mail server hands the gateway (127.0.0.1 port ${port}) one message for each of them.\n`);
    },
    ending: ({ domain, partner }: Scene, event: Told): void => {
      const seen = partner.seen.join(" ");
      if (common.json) printJson(deps, { domain, ...endingOf(event), partnerSaw: seen, taken: partner.taken() });
      const delivered = event.outcome === "delivered";
      const head = delivered ? paint("green", "delivered") : paint("yellow", `waits: ${event.reason ?? ""}`);
      say(`${paint("bold", domain)}  ${head}`);
      say(`  ${wrapped(delivered ? proofOf(event) : printable(event.detail ?? ""), deps.stdout, 2)}`);
      say(paint("dim", `  the partner saw: ${seen}`));
    },
    recovery: ({ domain, partner }: Scene): void => {
      partner.seen.length = 0;
      say(`\n${domain} puts a new certificate in place. An administrator does not want to wait for the next try:`);
      say(paint("dim", `  sealpost queue retry --domain ${domain}`));
    },
    closing: (): void => {
      say("\nTwo messages still wait, and would until their partners are mended or five days are over; then their");
      say("sender would be told. Not one byte of them was sent: the partners saw no MAIL.");
    },
  };
}

function endingOf({ outcome, reason, detail, tls }: Told): object {
  return { outcome, reason, detail, version: tls?.version, authenticatedBy: tls?.authenticatedBy };
}

function proofOf({ tls }: Told): string {
  return `over ${tls?.version ?? "?"}, after it had proven to be ${tls?.matched ?? "?"} by ${tls?.authenticatedBy ?? "?"}`;
}
