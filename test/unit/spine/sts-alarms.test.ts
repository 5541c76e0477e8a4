import { expect, it } from "vitest";
import type { MtaStsFacts } from "../../../src/mail/published.ts";
import type { Emit } from "../../../src/report/events.ts";
import { createStsAlarms } from "../../../src/sts-alarms.ts";
import { outbound, tls } from "../decide/policies.ts";
import { delivery, host } from "./fixtures.ts";

const unavailable: MtaStsFacts = { kind: "unavailable", result: "sts-policy-fetch-error", detail: "time-out" };

function heard(facts: readonly (MtaStsFacts | undefined)[], partner: string | null = "acme", mtaSts?: "require") {
  const alarms: object[] = [];
  const emit: Emit = (event, fields) => void alarms.push({ event, ...fields });
  const { look } = createStsAlarms({ clock: { now: () => 0 }, emit });
  const policy = outbound({ partner, tls: tls({ ...(mtaSts && { mtaSts }) }) });
  for (const mtaSts of facts) {
    const seen = { host: host("mx1"), published: { ...(mtaSts && { mtaSts }) } };
    look({ delivery: delivery(), outbound: policy, trial: { outcomes: new Map(), seen } });
  }
  return alarms;
}

it("a partner whose announced policy cannot be had is an alarm, raised once [RFC 8461 §3.3]", () => {
  const alarms = heard([unavailable, unavailable, unavailable]);
  expect(alarms).toMatchObject([
    {
      event: "alarm",
      code: "mta-sts-unavailable",
      partner: "acme",
      state: "raised",
      since: "1970-01-01T00:00:00.000Z",
    },
  ]);
  expect(JSON.stringify(alarms)).toContain("time-out");
});

it("ends once a policy is heard of again, or none is announced, and may come back", () => {
  const states = (facts: (MtaStsFacts | undefined)[]) =>
    heard(facts).map((alarm) => ("state" in alarm ? alarm.state : ""));
  expect(states([unavailable, { kind: "none" }, { kind: "none" }])).toEqual(["raised", "cleared"]);
  expect(states([unavailable, { kind: "none" }, unavailable])).toEqual(["raised", "cleared", "raised"]);
  expect(states([{ kind: "none" }])).toEqual([]);
});

it("does not end because a look-up fails, or nothing was asked", () =>
  expect(heard([unavailable, { kind: "unknown", detail: "SERVFAIL" }, undefined])).toHaveLength(1));

it("says whether mail waits", () => {
  expect(JSON.stringify(heard([unavailable]))).toContain("by the level alone");
  expect(JSON.stringify(heard([unavailable], "acme", "require"))).toContain("mail waits");
});

it("is none for a destination without a partner file", () => expect(heard([unavailable], null)).toEqual([]));
