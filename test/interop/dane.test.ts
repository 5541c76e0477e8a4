/**
 * DANE against a real resolver that validates signed zones: every row of the table is mail through the gateway, its
 * `delivery` event, the record of the hosts it was or was not for, and Postfix's verdict on the same domain.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { POSTFIX_NAME } from "./cases/case.ts";
import { daneSheet } from "./cases/sheet.ts";
import { expectNothingElse, expectRow, mailMore, play, type Played, type Row, rowsOf } from "./cases/table.ts";
import type { LogLine } from "./rig/gateway.ts";
import { type PostfixVerdict, postfixVerdicts } from "./rig/postfix-verdicts.ts";
import { createWorkbench } from "./rig/workbench.ts";
import { createPlan, type World } from "./rig/world.ts";

const bench = createWorkbench();
afterAll(bench.clear);

const plan = createPlan();
const sheet = daneSheet(plan);
const ROWS = rowsOf(sheet.cases);
const ROLLING = "dane-only@rolling.dane.test";
const COLD = "dane-only@cold.dane.test";

let world: World;
let played: Played;
let verdicts: Map<string, PostfixVerdict>;

beforeAll(async () => {
  world = await plan.start(bench);
  played = await play(bench, world, { rows: ROWS, trusted: sheet.trusted, later: [COLD] });
  const asked = ROWS.filter(({ one, policy }) => one.nextHop === undefined && POSTFIX_NAME[policy] !== undefined);
  const questions = asked.map(({ one, policy }) => ({ domain: one.domain, level: POSTFIX_NAME[policy] ?? "may" }));
  const answers = await postfixVerdicts(bench, world, { ca: played.trusted, questions });
  verdicts = new Map(answers.map((verdict, index) => [asked[index]?.recipient ?? "", verdict]));
});

it.each(ROWS)("$one.domain at $policy: $one.about", (row) => {
  expectRow(row, played);
  const verdict = verdicts.get(row.recipient);
  if (verdict === undefined) return;
  const clause = row.one.differs?.[row.policy];
  expect(agrees(row, verdict), `${JSON.stringify(verdict)} ${clause ?? ""}`).toBe(clause === undefined);
});

it("says nothing but EHLO, STARTTLS and QUIT to a host that has not been let through", () => {
  expectNothingElse(ROWS, played);
});

it("delivers before, during and after a roll-over, and not once the host shows what is not published", async () => {
  const attempt = (from: string) => mailMore(world, played, { from, to: ROLLING });
  expect(await attempt("before@own.test")).toMatchObject({ ending: "dane-ee", crossed: true });
  await world.namespace.call("changeMx", "mx.rolling.dane.test", { tls: sheet.renewed });
  expect(await attempt("after@own.test")).toMatchObject({ ending: "dane-ee", crossed: true });
  await world.namespace.call("changeMx", "mx.rolling.dane.test", { tls: sheet.foreign });
  expect(await attempt("never@own.test")).toMatchObject({ ending: "waits tlsa-invalid", crossed: false });
});

it("asks each question of DNS once while the answers last", async () => {
  const count = async () => Number(/^total\.num\.queries=(\d+)/m.exec(await world.unbound.statistics())?.[1]);
  const asked = async (from: string) => {
    const before = await count();
    expect(await mailMore(world, played, { from, to: COLD })).toMatchObject({ ending: "dane-ee" });
    return (await count()) - before;
  };
  expect(await asked("cold@own.test")).toBe(4); // MX, A, AAAA, TLSA
  expect(await asked("warm@own.test")).toBe(0);
});

it.each([
  ["ee.dane.test", "dane-only", ["dane-ee"]],
  ["mismatch.dane.test", "may", ["tlsa-invalid"]],
  ["ta-name.dane.test", "dane-only", ["certificate-host-mismatch"]],
  ["withheld.dane.test", "may", ["starttls-not-supported"]],
  ["none.dane.test", "dane-only", ["dane-required"]],
  ["bogus-tlsa.dane.test", "may", ["dnssec-invalid"]],
  ["expired.test", "may", []],
  ["stale-first.dane.test", "dane-only", ["tlsa-invalid", "dane-ee"]],
] as const)("probes %s at %s as it delivers, without any mail: %j", async (domain, level, hosts) => {
  const mails = async () => {
    const record = await world.namespace.call("record");
    return Object.values(record).flatMap(({ commands }) => commands.filter(({ line }) => line.startsWith("MAIL")))
      .length;
  };
  const before = await mails();
  const { code, stdout } = await played.site.command("probe", domain, "--level", level, "--json");
  expect(await mails()).toBe(before);
  const report = JSON.parse(stdout);
  const seen = report.hosts.map((host: LogLine) => host["verdict"]?.authenticatedBy ?? host["problem"].reason);
  expect(seen).toEqual(hosts);
  const delivered = played.events.get(ROWS.find(({ recipient }) => recipient === `${level}@${domain}`)?.sender ?? "");
  expect(report.ok).toBe(delivered?.["outcome"] === "delivered");
  expect(report.problem?.reason).toBe(delivered?.["reason"]);
  expect(code).toBe(report.ok === true ? 0 : 1);
});

/** Out or not, through the same host, and where DANE was proven to us, it was to Postfix. */
function agrees({ ending, policy, sender }: Row, { status, channel, address }: PostfixVerdict): boolean {
  if (ending.startsWith("waits")) return status === "deferred";
  if (ending.startsWith("fails")) return status === "bounced";
  const proven = !ending.startsWith("dane") || policy === "encrypt" || channel === "Verified";
  return status === "sent" && address === played.events.get(sender)?.["mx"].address && proven;
}
