/**
 * Plays a table: each row is one message through one gateway, under a partner made for its policy. Keeps the first
 * `delivery` event of each and the record of all hosts, and says what must stand in them.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import { createSite, type Gateway, type LogLine, type Site } from "../rig/gateway.ts";
import type { MxRecord } from "../rig/inside.ts";
import { eventually } from "../rig/processes.ts";
import type { Workbench } from "../rig/workbench.ts";
import type { World } from "../rig/world.ts";
import { type Case, type Ending, POLICIES, type PolicyName } from "./case.ts";

export interface Row {
  readonly one: Case;
  readonly policy: PolicyName;
  readonly ending: Ending;
  /** Of this row alone: what crosses to a host is found by it. */
  readonly sender: string;
  readonly recipient: string;
}

export interface Played {
  readonly site: Site;
  readonly gateway: Gateway;
  /** By sender. */
  readonly events: ReadonlyMap<string, LogLine>;
  /** By host. */
  readonly record: Readonly<Record<string, MxRecord>>;
  /** File of the authorities that are trusted. */
  readonly trusted: string;
}

export function rowsOf(cases: readonly Case[]): Row[] {
  return cases
    .flatMap((one) =>
      Object.entries(one.endings).map(([policy, ending]) => ({ one, policy: policy as PolicyName, ending })),
    )
    .map((row, index) => ({ ...row, sender: `r${index}@own.test`, recipient: `${row.policy}@${row.one.domain}` }));
}

/** `later`: recipients with a policy like those of the rows, mailed after the table. */
export async function play(
  bench: Workbench,
  world: World,
  table: { readonly rows: readonly Row[]; readonly trusted: string; readonly later: readonly string[] },
): Promise<Played> {
  const { rows } = table;
  const trusted = join(await bench.folder("ca"), "trusted.pem");
  await writeFile(trusted, table.trusted);
  const settings = {
    tls: { trust: [trusted] },
    dns: { resolvers: ["127.0.0.1"], timeout: "3s" },
    delivery: { command_timeout: "3s", connect_timeout: "3s" },
    // A destination that failed at one row is closed for the others until the first retry.
    queue: { retry: ["1s", "1h"], messages_per_connection: 1 },
    outbound: { tls: { level: "may" } },
  };
  const site = await createSite(bench, settings, world.namespace.enter);
  await writePartners(site, rows, table.later);
  const gateway = await site.start();
  const mails = rows.map(({ sender, recipient }) => ({ from: sender, to: recipient }));
  const codes = await world.namespace.call("submit", gateway.port(), mails);
  expect(codes.filter((code) => code !== 250)).toEqual([]);
  const events = await attemptEach(site, gateway, rows);
  return { site, gateway, trusted, events, record: await world.namespace.call("record") };
}

/** Addresses beat domains: one partner for each policy, and one for each next hop under it. */
async function writePartners(site: Site, rows: readonly Row[], later: readonly string[]): Promise<void> {
  const groups = Map.groupBy(rows, ({ one, policy }) => `${policy} ${one.nextHop ?? ""}`);
  let count = 0;
  for (const [key, members] of groups) {
    const [policy = "", nextHop = ""] = key.split(" ");
    const tls = POLICIES[policy as PolicyName];
    const outbound = { tls, ...(nextHop !== "" && { next_hop: nextHop }) };
    const until = new Date(Date.now() + 20 * 86_400_000).toISOString().slice(0, 10);
    const exception = { until, approved_by: "anna@own.test", reason: "a case", outbound };
    const more = nextHop === "" ? later.filter((address) => address.startsWith(`${policy}@`)) : [];
    await site.partner(`${policy}-${(count += 1)}`, {
      name: key,
      addresses: [...new Set([...members.map(({ recipient }) => recipient), ...more])],
      ...(Object.values<string>(tls).includes("ignore") ? { exceptions: [exception] } : { outbound }),
    });
  }
}

/**
 * One attempt that finds no DNS or no host speaks for all that waits for the destination: the rest is sent on by hand, each
 * by itself. (A failure of TLS holds up nobody whose policy is another one.)
 */
async function attemptEach(site: Site, gateway: Gateway, rows: readonly Row[]): Promise<ReadonlyMap<string, LogLine>> {
  const left = () => {
    const found = firstBySender(gateway.log);
    return rows.filter(({ sender }) => !found.has(sender));
  };
  const quiet = () => {
    const before = gateway.log.length;
    return pause(3_000).then(() => gateway.log.length === before);
  };
  await eventually("the end of the first attempts", quiet, { within: 60_000 });
  for (const { sender } of left()) {
    const its = (line: LogLine) => line["sender"] === sender;
    const { queueId } = await gateway.logged("message.accepted", its);
    await sendOn({ site, gateway }, queueId, its);
  }
  expect(left()).toEqual([]);
  return firstBySender(gateway.log);
}

/** By hand, unless it is on its way by itself just then. */
async function sendOn(
  { site, gateway }: Pick<Played, "site" | "gateway">,
  queueId: string,
  its: (line: LogLine) => boolean,
): Promise<LogLine> {
  const { code, stderr } = await site.command("queue", "retry", queueId);
  expect([0, 1], stderr).toContain(code);
  return gateway.logged("delivery", its);
}

function firstBySender(log: readonly LogLine[]): Map<string, LogLine> {
  const deliveries = log.filter(({ event }) => event === "delivery").toReversed();
  return new Map(deliveries.map((line) => [line["sender"] as string, line]));
}

/** The event says so, and so does the hosts' record: no octet of a message over a channel that was not let through. */
export function expectRow({ one, ending, sender }: Row, { events, record }: Played): void {
  const event = events.get(sender);
  expect(endingOf(event), JSON.stringify(event)).toBe(ending);
  const carriers = Object.entries(record).flatMap(([host, { commands }]) =>
    commands.filter(({ line }) => line.includes(`<${sender}>`)).map((command) => ({ host, ...command })),
  );
  if (waitsOrFails(ending)) return expect(carriers).toEqual([]);
  const host = one.through ?? `mx.${one.domain}`;
  const secure = ending !== "clear";
  expect(carriers.map(({ line, ...rest }) => ({ ...rest, verb: line.slice(0, 5) }))).toEqual([
    { host, verb: "MAIL ", secure, connection: expect.any(Number) as number },
  ]);
  const whole = record[host]?.messages.filter(({ mail }) => mail.includes(`<${sender}>`)) ?? [];
  expect(whole.map((message) => message.secure)).toEqual([secure]);
  if (one.sni !== undefined) expect(event?.["tls"].sni).toBe(one.sni);
}

/** Sessions without mail say nothing else, and there is no session with mail that no row speaks of. */
export function expectNothingElse(rows: readonly Row[], { record }: Played): void {
  const sessions = Object.values(record).flatMap(({ commands }) =>
    [...Map.groupBy(commands, ({ connection }) => connection).values()].map((lines) =>
      lines.map(({ line }) => line.split(/[ :]/)[0] ?? ""),
    ),
  );
  const without = sessions.filter((verbs) => !verbs.includes("MAIL"));
  expect(without.length).toBeGreaterThan(5);
  expect(without.flat().filter((verb) => !["EHLO", "STARTTLS", "QUIT"].includes(verb))).toEqual([]);
  expect(sessions.length - without.length).toBe(rows.filter(({ ending }) => !waitsOrFails(ending)).length);
}

/** One more message; its ending, and whether a host heard of it. `behind`: other mail has closed its destination. */
export async function mailMore(
  world: World,
  { site, gateway }: Pick<Played, "site" | "gateway">,
  { from, to, behind = false }: { readonly from: string; readonly to: string; readonly behind?: boolean },
): Promise<{ ending: string; event: LogLine; crossed: boolean }> {
  await world.namespace.call("submit", gateway.port(), [{ from, to }]);
  const its = (line: LogLine) => line["sender"] === from;
  const { queueId } = await gateway.logged("message.accepted", its);
  const event = behind ? await sendOn({ site, gateway }, queueId, its) : await gateway.logged("delivery", its);
  const record = await world.namespace.call("record");
  const lines = Object.values(record).flatMap(({ commands }) => commands.map(({ line }) => line));
  return { ending: endingOf(event), event, crossed: lines.some((line) => line.includes(`<${from}>`)) };
}

function waitsOrFails(ending: Ending): boolean {
  return ending.startsWith("waits") || ending.startsWith("fails");
}

function endingOf(event: LogLine | undefined): string {
  switch (event?.["outcome"]) {
    case "delivered": {
      const { authenticatedBy, result } = event["tls"];
      return authenticatedBy ?? (result === "none" ? "clear" : result);
    }
    case "deferred":
      return `waits ${event["reason"]}`;
    case "failed":
      return `fails ${event["reason"]}`;
    default:
      return "no event";
  }
}
