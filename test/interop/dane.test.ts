/**
 * DANE against a real resolver that validates signed zones: every row of the table is mail through the gateway, its
 * `delivery` event, the record of the hosts it was or was not for, and Postfix's verdict on the same domain.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Case, POLICIES, type PolicyName, POSTFIX_NAME } from "./cases/case.ts";
import { daneSheet } from "./cases/sheet.ts";
import { createSite, type Gateway, type LogLine, type Site } from "./rig/gateway.ts";
import type { MxRecord } from "./rig/inside.ts";
import { type PostfixVerdict, postfixVerdicts } from "./rig/postfix-verdicts.ts";
import { eventually } from "./rig/processes.ts";
import { createWorkbench } from "./rig/workbench.ts";
import { createPlan, type World } from "./rig/world.ts";

const bench = createWorkbench();
afterAll(bench.clear);

const plan = createPlan();
const sheet = daneSheet(plan);

interface Row {
  readonly one: Case;
  readonly policy: PolicyName;
  readonly ending: string;
  readonly sender: string;
  readonly recipient: string;
}

const ROWS: readonly Row[] = sheet.cases
  .flatMap((one) =>
    Object.entries(one.endings).map(([policy, ending]) => ({ one, policy: policy as PolicyName, ending })),
  )
  .map((row, index) => ({ ...row, sender: `r${index}@own.test`, recipient: `${row.policy}@${row.one.domain}` }));

let world: World;
let site: Site;
let gateway: Gateway;
let events: Map<string, LogLine>;
let record: Record<string, MxRecord>;
let verdicts: Map<string, PostfixVerdict>;

beforeAll(async () => {
  world = await plan.start(bench);
  const trusted = join(await bench.folder("ca"), "trusted.pem");
  await writeFile(trusted, sheet.trusted);
  site = await createSite(
    bench,
    {
      tls: { trust: [trusted] },
      dns: { resolvers: ["127.0.0.1"], timeout: "3s" },
      delivery: { command_timeout: "3s", connect_timeout: "3s" },
      queue: { retry: ["1s", "1h"], messages_per_connection: 1 },
      outbound: { tls: { level: "may" } },
    },
    world.namespace.enter,
  );
  await writePartners();
  gateway = await site.start();
  const codes = await world.namespace.call(
    "submit",
    gateway.port(),
    ROWS.map(({ sender, recipient }) => ({ from: sender, to: recipient })),
  );
  expect(codes.filter((code) => code !== 250)).toEqual([]);
  const found = () =>
    new Map(gateway.log.filter(({ event }) => event === "delivery").map((line) => [line["sender"] as string, line]));
  const missing = () => ROWS.filter(({ sender }) => !found().has(sender)).map(({ recipient }) => recipient);
  const seen = () => missing().join(" ");
  await eventually("an attempt for each row", () => missing().length === 0, { within: 60_000, every: 200, seen });
  events = found();
  record = await world.namespace.call("record");
  const asked = ROWS.filter(({ one, policy }) => one.nextHop === undefined && POSTFIX_NAME[policy] !== undefined);
  const questions = asked.map(({ one, policy }) => ({ domain: one.domain, level: POSTFIX_NAME[policy] ?? "may" }));
  const answers = await postfixVerdicts(bench, world, { ca: trusted, questions });
  verdicts = new Map(answers.map((verdict, index) => [asked[index]?.recipient ?? "", verdict]));
});

/** Addresses beat domains: one partner for each policy, and one for each next hop under it. */
async function writePartners(): Promise<void> {
  const groups = Map.groupBy(ROWS, ({ one, policy }) => `${policy} ${one.nextHop ?? ""}`);
  let count = 0;
  for (const [key, rows] of groups) {
    const [policy = "", nextHop = ""] = key.split(" ");
    const outbound = { tls: POLICIES[policy as PolicyName], ...(nextHop !== "" && { next_hop: nextHop }) };
    const until = new Date(Date.now() + 20 * 86_400_000).toISOString().slice(0, 10);
    const record = { until, approved_by: "anna@own.test", reason: "a case", outbound };
    await site.partner(`${policy}-${(count += 1)}`, {
      name: key,
      addresses: [
        ...rows.map(({ recipient }) => recipient),
        ...(key === "dane-only " ? ["dane-only@cold.dane.test"] : []),
      ],
      ...(policy === "ignore" ? { exceptions: [record] } : { outbound }),
    });
  }
}

it.each(ROWS)("$one.domain at $policy: $one.about", (row) => {
  const { one, policy, ending, sender, recipient } = row;
  const event = events.get(sender);
  expect(endingOf(event), JSON.stringify(event)).toBe(ending);
  const carriers = Object.entries(record).flatMap(([host, { commands }]) =>
    commands.filter(({ line }) => line.includes(`<${sender}>`)).map((command) => ({ host, ...command })),
  );
  if (/^(?:waits|fails)/.test(ending)) expect(carriers).toEqual([]);
  else {
    const host = one.through ?? `mx.${one.domain}`;
    expect(carriers.map(({ line, ...rest }) => ({ ...rest, verb: line.slice(0, 5) }))).toEqual([
      { host, verb: "MAIL ", secure: ending !== "clear", connection: expect.any(Number) as number },
    ]);
    const whole = record[host]?.messages.filter(({ mail }) => mail.includes(`<${sender}>`)) ?? [];
    expect(whole.map(({ secure }) => secure)).toEqual([ending !== "clear"]);
    if (one.sni !== undefined) expect(event?.["tls"].sni).toBe(one.sni);
  }
  const verdict = verdicts.get(recipient);
  if (verdict === undefined) return;
  const clause = one.differs?.[policy];
  expect(agrees(row, verdict, event), `${JSON.stringify(verdict)} ${clause ?? ""}`).toBe(clause === undefined);
});

it("says nothing but EHLO, STARTTLS and QUIT to a host that has not been let through", () => {
  const sessions = Object.entries(record).flatMap(([host, { commands }]) =>
    [...Map.groupBy(commands, ({ connection }) => connection).values()].map((lines) => ({
      host,
      verbs: lines.map(({ line }) => line.split(/[ :]/)[0] ?? ""),
    })),
  );
  const without = sessions.filter(({ verbs }) => !verbs.includes("MAIL"));
  expect(without.length).toBeGreaterThan(30);
  expect(without.filter(({ verbs }) => verbs.some((verb) => !["EHLO", "STARTTLS", "QUIT"].includes(verb)))).toEqual([]);
  expect(sessions.length - without.length).toBe(ROWS.filter(({ ending }) => !/^(?:waits|fails)/.test(ending)).length);
});

it("delivers before, during and after a roll-over, and not once the host shows what is not published", async () => {
  const attempt = async (sender: string) => {
    await world.namespace.call("submit", gateway.port(), [{ from: sender, to: "dane-only@rolling.dane.test" }]);
    return endingOf(await gateway.logged("delivery", (line) => line["sender"] === sender));
  };
  expect(await attempt("before@own.test")).toBe("dane-ee");
  await world.namespace.call("changeMx", "mx.rolling.dane.test", { tls: sheet.renewed });
  expect(await attempt("after@own.test")).toBe("dane-ee");
  await world.namespace.call("changeMx", "mx.rolling.dane.test", { tls: sheet.foreign });
  expect(await attempt("never@own.test")).toBe("waits tlsa-invalid");
  const { commands } = (await world.namespace.call("record"))["mx.rolling.dane.test"] ?? { commands: [] };
  expect(commands.some(({ line }) => line.includes("<never@own.test>"))).toBe(false);
});

it("asks each question of DNS once while the answers last", async () => {
  const count = async () => {
    const text = await world.unbound.statistics();
    return Number(/^total\.num\.queries=(\d+)/m.exec(text)?.[1]);
  };
  const asked = async (sender: string) => {
    const before = await count();
    await world.namespace.call("submit", gateway.port(), [{ from: sender, to: "dane-only@cold.dane.test" }]);
    const event = await gateway.logged("delivery", (line) => line["sender"] === sender);
    expect(endingOf(event)).toBe("dane-ee");
    return (await count()) - before;
  };
  expect(await asked("cold@own.test")).toBe(4); // MX, A, AAAA, TLSA
  expect(await asked("warm@own.test")).toBe(0);
});

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

/** Out or not, through the same host, and where DANE was proven to us, it was to Postfix. */
function agrees({ ending, policy }: Row, verdict: PostfixVerdict, event: LogLine | undefined): boolean {
  const { status, channel, address } = verdict;
  if (ending.startsWith("waits")) return status === "deferred";
  if (ending.startsWith("fails")) return status === "bounced";
  const proven = !ending.startsWith("dane") || policy === "encrypt" || channel === "Verified";
  return status === "sent" && address === event?.["mx"].address && proven;
}
