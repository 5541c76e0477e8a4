/** What is known of a domain's MTA-STS policy, in the order of RFC 8461 §3.3 and §5.1, with time standing still. */
import { beforeEach, describe, expect, it } from "vitest";
import type { Fetched } from "../../../src/connect/mta-sts-answer.ts";
import type { TxtLookup } from "../../../src/connect/mta-sts-record.ts";
import {
  broken,
  DAY,
  enforce,
  found,
  HOUR,
  MINUTE,
  name,
  nothing,
  servfail,
  stsWorld,
  type StsWorld,
} from "./mta-sts-fakes.ts";

const ACME = name("acme.example");
const RECORD = found("v=STSv1; id=1;");

let world: StsWorld;
beforeEach(() => {
  world = stsWorld();
});

const publish = (record: TxtLookup, host: Fetched | Promise<Fetched>, domain: string = ACME): void => {
  world.txt.set(domain, record);
  world.hosts.set(domain, host);
};
const facts = (domain: string = ACME) => world.sts.facts(name(domain));
/** A policy is kept, and then things change. */
const kept = async (then: TxtLookup, host: Fetched = broken): Promise<void> => {
  publish(RECORD, enforce());
  await facts();
  publish(then, host);
};

describe("with nothing kept", () => {
  it.each<[string, TxtLookup, Fetched, object]>([
    ["a record and a policy give it [§3.3]", RECORD, enforce(), { kind: "policy", id: "1", mode: "enforce" }],
    ["a policy in testing is one", RECORD, enforce({ mode: "testing" }), { kind: "policy", mode: "testing" }],
    ["a policy of none is one", RECORD, enforce({ mode: "none", mx: [] }), { kind: "policy", mode: "none", mx: [] }],
    ["no record is none [§3.1]", nothing, enforce(), { kind: "none" }],
    ["a name with other records is none", found("v=spf1 -all"), enforce(), { kind: "none" }],
    ["two records are none [§3.1]", found("v=STSv1; id=1", "v=STSv1; id=2"), enforce(), { kind: "none" }],
    ["a record that is invalid is none [§3.1]", found("v=STSv1; id=;"), enforce(), { kind: "none" }],
    [
      "a look-up that failed is unknown, never none",
      servfail,
      enforce(),
      { kind: "unknown", detail: "answered SERVFAIL" },
    ],
    ["a policy that cannot be fetched is unavailable [§3.3]", RECORD, broken, { ...broken }],
    ["a gateway that stops knows nothing", RECORD, { kind: "stopped" }, { kind: "unknown" }],
  ])("%s", async (_, record, host, expected) => {
    publish(record, host);
    expect(await facts()).toMatchObject(expected);
  });

  it("asks for the policy only where one is announced, at the domain itself [§3.4]", async () => {
    publish(RECORD, enforce());
    expect(await facts("mail.acme.example")).toEqual({ kind: "none" });
    expect(world.looked).toEqual(["_mta-sts.mail.acme.example"]);
    expect(world.fetches).toEqual([]);
  });

  it("takes a domain too long for the record's name for one without", async () => {
    expect(await facts(`${"a".repeat(60)}.`.repeat(4).concat("example"))).toEqual({ kind: "none" });
    expect(world.looked).toEqual([]);
  });
});

describe("with a policy kept that has not expired", () => {
  it.each<[string, TxtLookup, Fetched]>([
    ["it applies as long as the id is the same", RECORD, broken],
    ["it outlives a failed look-up [§3.3]", servfail, broken],
    ["it outlives its record [§3.1, §5.1]", nothing, broken],
    ["it outlives a second record [§3.1]", found("v=STSv1; id=1", "v=STSv1; id=2"), broken],
    ["it outlives a failed fetch of a newer one [§3.3]", found("v=STSv1; id=2"), broken],
    ["it outlives a stop", found("v=STSv1; id=2"), { kind: "stopped" }],
    [
      "it outlives a newer one that is invalid",
      found("v=STSv1; id=2"),
      { kind: "unavailable", result: "sts-policy-invalid", detail: "no mx" },
    ],
    [
      "it outlives a newer one on a host with a wrong certificate",
      found("v=STSv1; id=2"),
      { kind: "unavailable", result: "sts-webpki-invalid", detail: "expired" },
    ],
  ])("%s", async (_, record, host) => {
    await kept(record, host);
    await world.clock.advance(7 * DAY - 1);
    expect(await facts()).toEqual({
      kind: "policy",
      domain: ACME,
      id: "1",
      mode: "enforce",
      mx: ["mx.acme.example"],
      expiresAt: 7 * DAY,
    });
  });

  it.each<[string, TxtLookup, object]>([
    ["no record", nothing, { kind: "none" }],
    ["a failed look-up", servfail, { kind: "unknown" }],
    ["a host that is down", RECORD, { kind: "unavailable", result: "sts-policy-fetch-error" }],
  ])("is no longer applied once expired, with %s [§3.2]", async (_, record, expected) => {
    await kept(record);
    await world.clock.advance(7 * DAY);
    expect(await facts()).toMatchObject(expected);
  });

  it("is not fetched again while its id is the same", async () => {
    await kept(RECORD);
    await facts();
    await facts();
    expect(world.fetches).toEqual([ACME]);
  });

  it("is replaced when the id changes [§3.1]", async () => {
    await kept(found("v=STSv1; id=2"), enforce({ mx: ["new.acme.example"] }));
    expect(await facts()).toMatchObject({ kind: "policy", id: "2", mx: ["new.acme.example"] });
    expect(world.rows.get(ACME)).toMatchObject({ id: "2" });
  });

  it("is replaced by a policy of none [§8.3]", async () => {
    await kept(found("v=STSv1; id=2"), enforce({ mode: "none", mx: [], maxAgeSeconds: 60 }));
    expect(await facts()).toMatchObject({ kind: "policy", mode: "none", mx: [] });
    world.txt.set(ACME, nothing);
    await world.clock.advance(MINUTE);
    expect(await facts()).toEqual({ kind: "none" });
  });

  it("is replaced by one that may not be kept, which applies to this delivery only [§3.2]", async () => {
    await kept(found("v=STSv1; id=2"), enforce({ maxAgeSeconds: 0, mx: ["new.acme.example"] }));
    expect(await facts()).toMatchObject({ kind: "policy", mx: ["new.acme.example"] });
    world.txt.set(ACME, nothing);
    expect(await facts()).toEqual({ kind: "none" });
  });

  it("says nothing of another domain, though they share the MX host", async () => {
    await kept(RECORD);
    publish(RECORD, enforce({ mode: "testing" }), "other.example");
    expect(await facts("other.example")).toMatchObject({ domain: "other.example", mode: "testing" });
    expect(await facts()).toMatchObject({ domain: ACME, mode: "enforce" });
    expect(await facts("third.example")).toEqual({ kind: "none" });
  });
});

describe("fetches", () => {
  it("go out once for all who ask at the same time", async () => {
    const { promise, resolve } = Promise.withResolvers<Fetched>();
    publish(RECORD, promise);
    const asked = Promise.all([facts(), facts(), facts()]);
    resolve(enforce());
    for (const fact of await asked) expect(fact).toMatchObject({ kind: "policy" });
    expect(world.fetches).toEqual([ACME]);
  });

  it("that failed are not repeated for five minutes, except for a new id [§3.3]", async () => {
    publish(RECORD, broken);
    await facts();
    publish(RECORD, enforce());
    await world.clock.advance(5 * MINUTE - 1);
    expect(await facts()).toEqual(broken);
    expect(world.fetches).toHaveLength(1);
    publish(found("v=STSv1; id=2"), broken);
    await facts();
    expect(world.fetches).toHaveLength(2);
    publish(found("v=STSv1; id=2"), enforce());
    await world.clock.advance(5 * MINUTE);
    expect(await facts()).toMatchObject({ kind: "policy", id: "2" });
  });

  it("that failed for one domain hold up no other", async () => {
    publish(RECORD, broken);
    await facts();
    publish(RECORD, enforce(), "other.example");
    expect(await facts("other.example")).toMatchObject({ kind: "policy" });
  });

  it("that failed are told once, with what applies instead [§3.3]", async () => {
    publish(RECORD, broken);
    await facts();
    await facts();
    const trouble = { domain: ACME, result: "sts-policy-fetch-error", detail: "answered 500" };
    expect(world.troubles).toEqual([trouble]);
    publish(RECORD, enforce());
    await world.clock.advance(5 * MINUTE);
    await facts();
    publish(found("v=STSv1; id=2"), broken);
    await facts();
    expect(world.troubles).toEqual([trouble, { ...trouble, cachedUntil: 5 * MINUTE + 7 * DAY }]);
  });

  it("that failed are not told where the kept policy is none [§3.3]", async () => {
    publish(RECORD, enforce({ mode: "none", mx: [] }));
    await facts();
    publish(found("v=STSv1; id=2"), broken);
    expect(await facts()).toMatchObject({ kind: "policy", mode: "none" });
    expect(world.troubles).toEqual([]);
  });
});

describe("a store that fails", () => {
  it.each<[string, TxtLookup]>([
    ["no record", nothing],
    ["a record", RECORD],
    ["a failed look-up", servfail],
  ])("to be read makes the policy unknown, with %s", async (_, record) => {
    publish(record, enforce());
    world.failing = "get";
    expect(await facts()).toEqual({ kind: "unknown", detail: expect.stringContaining("the disk is full") });
  });

  it("to be written does not keep a fetched policy from being applied", async () => {
    publish(RECORD, enforce());
    world.failing = "put";
    expect(await facts()).toMatchObject({ kind: "policy", mode: "enforce" });
    expect(world.troubles).toMatchObject([{ domain: ACME, result: "not-kept" }]);
  });
});

describe("refreshing", () => {
  it("fetches a kept policy once a day, and so it does not end [§3.3]", async () => {
    await kept(RECORD, enforce());
    world.sts.start();
    await world.clock.advance(DAY - 1);
    expect(world.fetches).toHaveLength(1);
    await world.clock.advance(5 * MINUTE);
    expect(world.fetches).toHaveLength(2);
    await world.clock.advance(30 * DAY);
    expect(world.fetches).toHaveLength(32);
    world.txt.set(ACME, servfail);
    expect(await facts()).toMatchObject({ kind: "policy" });
    world.sts.stop();
  });

  it("fetches one that lives shorter than that at half its time", async () => {
    publish(RECORD, enforce({ maxAgeSeconds: 7200 }));
    await facts();
    world.sts.start();
    await world.clock.advance(HOUR + 5 * MINUTE);
    expect(world.rows.get(ACME)?.expiresAt).toBeGreaterThanOrEqual(3 * HOUR);
    world.sts.stop();
  });

  it.each<[string, TxtLookup]>([
    ["a failed look-up of its record", servfail],
    ["the lack of its record", nothing],
  ])("does not stop for %s [§10.2]", async (_, record) => {
    await kept(record, enforce({ mx: ["new.acme.example"] }));
    world.sts.start();
    await world.clock.advance(DAY + HOUR);
    expect(world.rows.get(ACME)).toMatchObject({ id: "1", mx: ["new.acme.example"] });
    world.sts.stop();
  });

  it("sees a new id without any mail", async () => {
    await kept(found("v=STSv1; id=2"), enforce({ mode: "testing" }));
    world.sts.start();
    await world.clock.advance(DAY + HOUR);
    expect(world.rows.get(ACME)).toMatchObject({ id: "2", mode: "testing" });
    world.sts.stop();
  });

  it("that fails is told, tried again later, and takes nothing away [§3.3]", async () => {
    await kept(RECORD, broken);
    world.sts.start();
    await world.clock.advance(DAY + 3 * HOUR + 10 * MINUTE);
    expect(world.troubles.length).toBeGreaterThanOrEqual(3);
    expect(world.troubles.length).toBeLessThanOrEqual(4);
    expect(world.troubles[0]).toMatchObject({ domain: ACME, cachedUntil: 7 * DAY });
    expect(await facts()).toMatchObject({ kind: "policy", mode: "enforce" });
    world.hosts.set(ACME, enforce());
    await world.clock.advance(2 * HOUR);
    expect(world.rows.get(ACME)?.expiresAt).toBeGreaterThan(8 * DAY);
    world.sts.stop();
  });

  it("lets a policy of none go with its record [§8.3]", async () => {
    publish(RECORD, enforce({ mode: "none", mx: [] }));
    await facts();
    world.txt.set(ACME, nothing);
    world.sts.start();
    await world.clock.advance(8 * DAY);
    expect(world.fetches).toHaveLength(1);
    expect(await facts()).toEqual({ kind: "none" });
    world.sts.stop();
  });

  it("takes few at a time", async () => {
    const waiting: ((found: Fetched) => void)[] = [];
    for (let number = 0; number < 10; number += 1) {
      publish(RECORD, enforce(), `d${number}.example`);
      await facts(`d${number}.example`);
      world.hosts.set(`d${number}.example`, new Promise((resolve) => waiting.push(resolve)));
    }
    world.sts.start();
    await world.clock.advance(DAY + 5 * MINUTE);
    expect(world.fetches).toHaveLength(14);
    for (const resolve of waiting) resolve(enforce());
    await world.clock.advance(1);
    expect(world.fetches).toHaveLength(20);
    world.sts.stop();
  });

  it("goes on after a store that failed", async () => {
    await kept(RECORD, enforce());
    world.sts.start();
    world.failing = "all";
    await world.clock.advance(DAY + HOUR);
    world.failing = "";
    await world.clock.advance(HOUR);
    expect(world.fetches).toHaveLength(2);
    world.sts.stop();
  });

  it("ends when it is stopped, and begins again", async () => {
    await kept(RECORD, enforce());
    world.sts.start();
    world.sts.stop();
    await world.clock.advance(2 * DAY);
    expect(world.fetches).toHaveLength(1);
    world.sts.start();
    world.sts.start();
    await world.clock.advance(1);
    expect(world.fetches).toHaveLength(2);
    world.sts.stop();
  });
});

it("notes once a day that a policy is used", async () => {
  await kept(RECORD);
  await world.clock.advance(DAY);
  await facts();
  expect(world.rows.get(ACME)?.usedAt).toBe(0);
  await world.clock.advance(1);
  await facts();
  expect(world.rows.get(ACME)?.usedAt).toBe(DAY + 1);
});

it("closing waits for what is under way, which is then unknown and no failure", async () => {
  const { promise, resolve } = Promise.withResolvers<Fetched>();
  publish(RECORD, promise);
  const asked = facts();
  await world.clock.advance(1);
  let closed = false;
  const closing = world.sts.close().then(() => {
    closed = true;
  });
  await world.clock.advance(1);
  expect(closed).toBe(false);
  resolve(broken);
  expect(await asked).toEqual({ kind: "unknown", detail: "The gateway is stopping" });
  await closing;
  expect([world.troubles, world.rows.size]).toEqual([[], 0]);
});
