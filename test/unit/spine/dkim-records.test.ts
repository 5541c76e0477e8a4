import { beforeAll, describe, expect, it } from "vitest";
import type { TxtLookup } from "../../../src/connect/mta-sts-record.ts";
import { createDkimRecords, txtRecords } from "../../../src/dkim-records.ts";
import type { DkimKeySettings } from "../../../src/mail/treatment.ts";
import type { Events } from "../../../src/report/events.ts";
import { dkimRecord } from "../../../src/transform/dkim/record.ts";
import { newKey } from "../transform/dkim-keys.ts";

const HOUR = 3_600_000;
const NAME = "s2026._domainkey.example.org";
let key: DkimKeySettings;
beforeAll(() => void (key = newKey("ed25519-sha256")));

function rig() {
  let now = 0;
  let timer: { at: number; run: () => void } | undefined;
  let answer: TxtLookup = { kind: "none" };
  let keys: readonly DkimKeySettings[] = [key];
  const asked: string[] = [];
  const alarms: Events["alarm"][] = [];
  const records = createDkimRecords({
    clock: {
      now: () => now,
      after: (ms, run) => {
        timer = { at: now + ms, run };
        return () => (timer = undefined);
      },
    },
    emit: (_, fields) => void alarms.push(fields as Events["alarm"]),
    keys: () => keys,
    lookupTxt: async (name) => {
      asked.push(name);
      return answer;
    },
  });
  const settle = () => new Promise<void>((resolve) => void setImmediate(resolve));
  return {
    alarms,
    asked,
    stop: records.stop,
    said: () => alarms.map(({ state, remedy }) => `${state}: ${remedy}`),
    pending: () => (timer === undefined ? undefined : timer.at - now),
    publish: (...values: string[]) => (answer = { kind: "found", records: values }),
    answer: (next: TxtLookup) => (answer = next),
    use: (...next: DkimKeySettings[]) => (keys = next),
    look: () => {
      records.look();
      return settle();
    },
    /** What the timer has set for then. */
    next: () => {
      if (timer === undefined) throw new Error("nothing is planned");
      now = timer.at;
      timer.run();
      return settle();
    },
  };
}

describe("the records of DKIM keys", () => {
  it("are looked up by name, and nothing is said of one that is right", async () => {
    const { look, publish, asked, alarms, pending } = rig();
    publish(dkimRecord(key).value);
    await look();
    expect(asked).toEqual([NAME]);
    expect(alarms).toEqual([]);
    expect(pending()).toBe(6 * HOUR);
  });

  it("raise one alarm while one is wrong, and clear it when it is right again", async () => {
    const { look, next, publish, alarms } = rig();
    await look();
    await look();
    await next();
    publish(dkimRecord(key).value);
    await next();
    expect(alarms.map(({ code, partner, state, since, until }) => [code, partner, state, since, until])).toEqual([
      ["dkim-record", null, "raised", "1970-01-01T00:00:00.000Z", undefined],
      ["dkim-record", null, "cleared", "1970-01-01T00:00:00.000Z", "1970-01-01T12:00:00.000Z"],
    ]);
  });

  it("say what is wrong, what follows, and what to do", async () => {
    const { look, said } = rig();
    await look();
    expect(said()).toEqual([
      `raised: There is no record at ${NAME}, and what the key signs is not recognised: publish at ${NAME}: ${dkimRecord(key).value}`,
    ]);
  });

  it("say of a key to come when it will sign", async () => {
    const { look, use, said } = rig();
    use({ ...key, notBefore: Date.UTC(2027, 0, 1) });
    await look();
    expect(said()[0]).toContain("and the key signs from 2027-01-01 on: publish at");
  });

  it("say it anew when it is wrong in another way", async () => {
    const { look, publish, alarms } = rig();
    await look();
    publish("v=DKIM1; p=");
    await look();
    expect(alarms.map(({ state, remedy }) => [state, remedy.split(" at ")[0]])).toEqual([
      ["raised", "There is no record"],
      ["cleared", `The record ${NAME} is wrong in another way`],
      ["raised", "The record"],
    ]);
  });

  it("change nothing when they cannot be looked up, which is tried again in ten minutes", async () => {
    const { look, next, answer, alarms, pending } = rig();
    answer({ kind: "failed", detail: "no answer" });
    await look();
    expect(alarms).toEqual([]);
    expect(pending()).toBe(HOUR / 6);
    answer({ kind: "none" });
    await next();
    answer({ kind: "failed", detail: "no answer" });
    await next();
    expect(alarms.map(({ state }) => state)).toEqual(["raised"]);
  });

  it("raise no alarm for the testing flag", async () => {
    const { look, publish, alarms } = rig();
    publish(dkimRecord(key).value.replace("p=", "t=y; p="));
    await look();
    expect(alarms).toEqual([]);
  });

  it("are forgotten with a key that a reload took away or that has ended", async () => {
    const { look, use, said } = rig();
    await look();
    use({ ...key, endsAt: 0 });
    await look();
    expect(said()[1]).toBe(`cleared: The key of ${NAME} signs no longer`);
  });

  it("are left alone after stop, also by a look that was under way", async () => {
    const { look, stop, alarms, pending } = rig();
    const looking = look();
    stop();
    await looking;
    expect(alarms).toEqual([]);
    expect(pending()).toBeUndefined();
  });
});

describe("the TXT records for whoever verifies", () => {
  it.each([
    ["those found", { kind: "found", records: ["a", "b"] }, ["a", "b"]],
    ["none", { kind: "none" }, []],
  ] as const)("are %s", async (_, answer, records) => {
    expect(await txtRecords(async () => answer)("x._domainkey.example.org")).toEqual(records);
  });

  it("are none at a name that is none, which is not asked for", async () => {
    expect(await txtRecords(() => expect.unreachable())("no such..name")).toEqual([]);
  });

  it("are unknown, never none, when DNS does not answer", async () => {
    const txt = txtRecords(async () => ({ kind: "failed", detail: "no answer" }));
    await expect(txt("x._domainkey.example.org")).rejects.toThrow("no answer");
  });
});
