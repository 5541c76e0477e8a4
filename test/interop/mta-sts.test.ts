/**
 * MTA-STS against real policy hosts on port 443 and a real resolver: every row of the table is mail through the
 * gateway. Then what happens later: a policy that outlives its host and a restart, and one that changes.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { httpAnswer } from "../peers/https-server.ts";
import { policy, stsSheet } from "./cases/sts-sheet.ts";
import { expectNothingElse, expectRow, mailMore, play, type Played, rowsOf } from "./cases/table.ts";
import type { Gateway } from "./rig/gateway.ts";
import { createWorkbench } from "./rig/workbench.ts";
import { createPlan, type World } from "./rig/world.ts";

const bench = createWorkbench();
afterAll(bench.clear);

const plan = createPlan();
const sheet = stsSheet(plan);
const ROWS = rowsOf(sheet.cases);
const PATH = "/.well-known/mta-sts.txt";

let world: World;
let played: Played;
/** The one that runs now. */
let gateway: Gateway;

beforeAll(async () => {
  world = await plan.start(bench);
  played = await play(bench, world, { rows: ROWS, trusted: sheet.trusted, later: [] });
  gateway = played.gateway;
});

it.each(ROWS)("$one.domain at $policy: $one.about", (row) => expectRow(row, played));

it("says nothing but EHLO, STARTTLS and QUIT to a host that has not been let through", () => {
  expectNothingElse(ROWS, played);
});

it("asks a policy host once, by its name, for all that goes to the domain, and none that is not announced", async () => {
  const asked = (domain: string) => world.namespace.call("policyRequests", `mta-sts.${domain}`);
  expect(await asked("good.sts.test")).toEqual([{ servername: "mta-sts.good.sts.test", path: PATH }]);
  expect(await asked("redirects.sts.test")).toEqual([{ servername: "mta-sts.redirects.sts.test", path: PATH }]);
  for (const domain of ["silent-host.sts.test", "twice.sts.test", "txt-refused.sts.test", "both.dane.test"])
    expect(await asked(domain), domain).toEqual([]);
});

it("raises an alarm for a partner whose policy cannot be had [RFC 8461 §3.3]", () => {
  const alarms = played.gateway.log.filter(({ event, code }) => event === "alarm" && code === "mta-sts-unavailable");
  for (const domain of ["host-late.sts.test", "redirects.sts.test", "modeless.sts.test"]) {
    const [alarm] = alarms.filter(({ remedy }) => (remedy as string).includes(`${domain} announces`));
    expect(alarm, domain).toMatchObject({ state: "raised", partner: expect.stringMatching(/^(may|require-sts)-/) });
  }
  expect(alarms.some(({ remedy }) => (remedy as string).includes("good.sts.test"))).toBe(false);
});

it("goes by a kept policy when its host is gone, a new one is announced, and the gateway was restarted", async () => {
  const attempt = (from: string, behind = false) =>
    mailMore(world, { ...played, gateway }, { from, to: "may@kept.sts.test", behind });
  const waits = { ending: "waits certificate-not-trusted", crossed: false };
  await world.namespace.call("closePolicyHost", "mta-sts.kept.sts.test");
  await world.namespace.call("changeMx", "mx.kept.sts.test", { tls: sheet.selfSigned });
  expect(await attempt("kept1@own.test")).toMatchObject(waits);
  await announceAnew("kept");
  expect(await attempt("kept2@own.test", true)).toMatchObject(waits);
  await gateway.stop();
  gateway = await played.site.start();
  expect(await attempt("kept3@own.test")).toMatchObject(waits);
});

it("fetches a policy anew when another id is announced, and not before [RFC 8461 §3.3]", async () => {
  const attempt = (from: string, behind = false) =>
    mailMore(world, { ...played, gateway }, { from, to: "may@changing.sts.test", behind });
  await world.namespace.call("changeMx", "mx.changing.sts.test", { tls: sheet.selfSigned });
  await world.namespace.call("changePolicyHost", "mta-sts.changing.sts.test", { answer: httpAnswer(policy("none")) });
  expect(await attempt("old@own.test")).toMatchObject({ ending: "waits certificate-not-trusted", crossed: false });
  await announceAnew("changing");
  expect(await attempt("new@own.test", true)).toMatchObject({ ending: "encrypted", crossed: true });
  const asked = await world.namespace.call("policyRequests", "mta-sts.changing.sts.test");
  expect(asked?.length).toBe(2);
});

function announceAnew(label: string): Promise<void> {
  const record = (id: number) => `_mta-sts.${label} 0 TXT "v=STSv1; id=${id};"`;
  return world.edit("sts.test", record(1), record(2));
}
