/**
 * The small internet tells the truth, seen without the gateway: what is signed is secure, what is damaged is bogus,
 * and Postfix's own client judges the TLSA records as they were meant.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createAuthority } from "../peers/certificates.ts";
import { rawTlsa, staleTlsa, tlsaOf } from "./rig/tlsa.ts";
import { postfixVerdicts } from "./rig/postfix-verdicts.ts";
import { createWorkbench } from "./rig/workbench.ts";
import { createPlan, REFUSING_SERVER, SILENT_SERVER, type World } from "./rig/world.ts";

const bench = createWorkbench();
afterAll(bench.clear);

const authority = createAuthority("An anchor");
const intermediate = authority.intermediate("Below it");
const leaf = intermediate.issue({ names: ["mx.good.dane.test"] });
const tls = { certificate: leaf.chain, key: leaf.key };
let world: World;

beforeAll(async () => {
  const plan = createPlan();
  plan.zone("dane.test", {
    damaged: ["mx.damaged A", "_25._tcp.mx.tlsa-damaged TLSA"],
    stripped: ["_25._tcp.mx.stripped TLSA"],
  });
  plan.zone("plain.test", { state: "unsigned" });
  plan.zone("expired.test", { state: "expired" });
  plan.zone("wrong-ds.test", { state: "wrong-ds" });
  plan.zone("hashed.test", { nsec3: true, algorithm: "ED25519" });
  plan.zone("rsa.test", { algorithm: "RSASHA256" });
  plan.zone("silent.test", { server: SILENT_SERVER });
  plan.zone("refusing.test", { server: REFUSING_SERVER });
  for (const name of [
    "good.dane",
    "damaged.dane",
    "tlsa-damaged.dane",
    "stripped.dane",
    "plain",
    "expired",
    "wrong-ds",
    "hashed",
    "rsa",
  ]) {
    plan.record(`${name}.test`, `MX 10 mx.${name}.test.`);
    plan.host(`mx.${name}.test`, { tls });
    plan.record(`_25._tcp.mx.${name}.test`, `TLSA ${tlsaOf("3 1 1", leaf.certificate)}`);
  }
  plan.record("stale.dane.test", "MX 10 mx.stale.dane.test.");
  plan.host("mx.stale.dane.test", { tls });
  plan.record("_25._tcp.mx.stale.dane.test", `TLSA ${staleTlsa("3 1 1")}`);
  plan.record("_25._tcp.mx.stale.dane.test", `TLSA ${rawTlsa(3, 1, 1, Buffer.from("0102", "hex"))}`);
  world = await plan.start(bench);
});

it.each([
  ["good.dane.test MX", "NOERROR", true],
  ["_25._tcp.mx.good.dane.test TLSA", "NOERROR", true],
  ["_26._tcp.mx.good.dane.test TLSA", "NXDOMAIN", true],
  ["mx.good.dane.test AAAA", "NOERROR", true],
  ["_25._tcp.mx.hashed.test TLSA", "NOERROR", true],
  ["_26._tcp.mx.hashed.test TLSA", "NXDOMAIN", true],
  ["mx.rsa.test A", "NOERROR", true],
  ["_25._tcp.mx.plain.test TLSA", "NOERROR", false],
  ["plain.test MX", "NOERROR", false],
  ["mx.damaged.dane.test A", "SERVFAIL", false],
  ["damaged.dane.test MX", "NOERROR", true],
  ["_25._tcp.mx.tlsa-damaged.dane.test TLSA", "SERVFAIL", false],
  ["_25._tcp.mx.stripped.dane.test TLSA", "SERVFAIL", false],
  ["expired.test MX", "SERVFAIL", false],
  ["wrong-ds.test MX", "SERVFAIL", false],
  ["refusing.test MX", "SERVFAIL", false],
  [". SOA", "NOERROR", true],
])("answers %s with %s, vouched for: %s", async (question, status, ad) => {
  const [name = "", type = ""] = question.split(" ");
  const text = await world.namespace.must("dig", ["@127.0.0.1", "+dnssec", "+tries=1", "+time=4", name, type]);
  expect(/status: (\w+)/.exec(text)?.[1], text).toBe(status);
  expect(/flags: [^;]*\bad\b/.test(text), text).toBe(ad);
});

it("gives no answer in time for a zone whose server is silent", async () => {
  const { code } = await world.namespace.run("dig", ["@127.0.0.1", "+tries=1", "+time=2", "silent.test", "MX"]);
  expect(code).toBe(9);
});

it("has Postfix tell proven from unproven hosts", async () => {
  const ca = join(await bench.folder("ca"), "ca.pem");
  await writeFile(ca, authority.certificate);
  const questions = (
    [
      ["dane", "good.dane.test"],
      ["dane-only", "good.dane.test"],
      ["dane", "stale.dane.test"],
      ["dane", "tlsa-damaged.dane.test"],
      ["dane", "plain.test"],
      ["dane-only", "plain.test"],
      ["dane-only", "hashed.test"],
      ["may", "stale.dane.test"],
      ["verify", "good.dane.test"],
      ["verify", "stale.dane.test"],
    ] as const
  ).map(([level, domain]) => ({ level, domain }));
  const verdicts = await postfixVerdicts(bench, world, { ca, questions });
  expect(verdicts.map(({ status, channel }) => `${status} ${channel ?? "-"}`)).toEqual([
    "sent Verified",
    "sent Verified",
    "deferred Untrusted",
    "deferred -",
    "sent Trusted",
    "deferred -",
    "sent Verified",
    "sent Trusted",
    "sent Verified",
    "deferred Untrusted",
  ]);
});
