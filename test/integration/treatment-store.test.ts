/** What is stored of a message that leaves in several forms, and that it stays what it is until it is delivered. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { newKey } from "../unit/transform/dkim-keys.ts";
import {
  count,
  createRig,
  delivered,
  dkimVerdicts,
  goodMx,
  headerOf,
  letter,
  opened,
  person,
  readDetached,
  type Rig,
  SIGNERS,
  submit,
  typeOf,
} from "./treatment-rig.ts";
import { eventually } from "../contract/messages.ts";

const LARGE = `${"0123456789abcdef".repeat(4)}\r\n`.repeat(48_000); // 3 MB
const DEFERRING = { ...goodMx, final: "451 4.3.0 Not now" };
const bodies = async ({ site }: Rig): Promise<number> =>
  (await readdir(join(site.folder, "data/bodies")).catch(() => [])).length;
const bodyOf = (message: Buffer): string => message.subarray(message.indexOf("\r\n\r\n") + 4).toString("latin1");
const patient = { queue: { retry: ["1s"], reserve: "1MiB" } };

/** Three destinations, a header treatment each. */
async function threeWays(rig: Rig): Promise<void> {
  await rig.site.partner("keeps", { domains: ["keep.test"], outbound: { headers: "keep" } });
  await rig.site.partner("plain", { domains: ["plain.test"], outbound: { dkim: "none" } });
  for (const domain of ["keep.test", "plain.test"]) rig.dns.zones[domain] = { MX: ["10 mx.acme.test"] };
}
const THREE = ["a@acme.test", "b@keep.test", "c@plain.test"];

describe("a large message that leaves in three forms", () => {
  it("is stored with one body, each destination gets its own header, and nothing is left afterwards", async () => {
    const rig = await createRig(DEFERRING);
    await threeWays(rig);
    await rig.configure(patient, await rig.useKeys([newKey("ed25519-sha256")]));
    await rig.site.start();
    expect(await submit(rig.site, { to: THREE, content: letter(["X-Mailer: x"], LARGE) })).toMatch(/^250/);
    expect(await bodies(rig)).toBe(1);
    await rig.arrived(3);
    rig.mx.change(goodMx);
    rig.mx.cut(); // sessions are kept for the next attempt
    for (const one of THREE) await delivered(rig.site, one);
    const [strip, keep, plain] = [await rig.got("a@"), await rig.got("b@"), await rig.got("c@")];
    expect([strip, keep, plain].map((one) => bodyOf(one) === LARGE)).toEqual([true, true, true]);
    expect([strip, keep, plain].map((one) => count(one, "x-mailer"))).toEqual([0, 1, 0]);
    expect([strip, keep, plain].map((one) => count(one, "dkim-signature"))).toEqual([1, 1, 0]);
    for (const one of [strip, keep])
      expect(await dkimVerdicts(one, rig.dns)).toEqual(["example.org s2026 ed25519-sha256 pass"]);
    await rig.site.logged("message.finished");
    await eventually(async () => (await bodies(rig)) === 0);
  });

  it("is delivered after a restart with the bytes that were tried before: a retry re-sends, never re-signs", async () => {
    const rig = await createRig(DEFERRING);
    await threeWays(rig);
    await rig.configure(patient, await rig.useKeys([newKey("ed25519-sha256")]));
    await rig.site.start();
    await submit(rig.site, { to: THREE, content: letter([], LARGE) });
    await rig.arrived(3);
    await rig.site.gateway().stop("test");
    const before = new Map(rig.mx.messages.map(({ recipients, content }) => [recipients.join(), content]));
    expect(before.size).toBe(3);
    const next = await rig.useKeys([newKey("ed25519-sha256", "example.org", "next")]);
    await rig.configure({ ...patient, outbound: { headers: "keep" }, hostname: "other.example.org" }, next);
    rig.mx.change(goodMx);
    await rig.site.start();
    for (const one of THREE) await delivered(rig.site, one);
    const tries = rig.mx.messages.slice(-3);
    expect(new Set(tries.map(({ recipients }) => recipients.join())).size).toBe(3);
    for (const { recipients, content } of tries) expect(before.get(recipients.join())?.equals(content)).toBe(true);
  });
});

describe("S/MIME in the queue", () => {
  const anna = person("anna@example.org");
  const bert = person("bert@acme.test");
  const both = async (mx = goodMx): Promise<Rig> => {
    const rig = await createRig(mx);
    await rig.useSigner("anna@example.org", anna);
    await rig.usePartner("bert", bert);
    const smime = { sign: "if-possible", encrypt: "if-known" };
    const keys = await rig.useKeys([newKey("ed25519-sha256")]);
    await rig.configure({ ...patient, outbound: { smime } }, { ...SIGNERS, ...keys });
    await rig.site.partner("plain", {
      domains: ["other.test"],
      outbound: { smime: { sign: "never", encrypt: "never" } },
    });
    await rig.site.start();
    return rig;
  };
  const TO = ["bert@acme.test", "otto@acme.test", "olga@other.test"];

  it("one large message signed, encrypted and plain: three bodies, each whole", async () => {
    const rig = await both();
    expect(await submit(rig.site, { to: TO, content: letter([], LARGE) })).toMatch(/^250/);
    const [encrypted, signed, plain] = [await rig.got("bert@"), await rig.got("otto@"), await rig.got("olga@")];
    expect(readDetached(signed).verified).toBe(true);
    expect(signed.includes(LARGE)).toBe(true);
    expect(bodyOf(plain)).toBe(LARGE);
    const inner = opened(encrypted, bert.key) ?? Buffer.of();
    expect(readDetached(inner).verified).toBe(true);
    expect(inner.includes(LARGE)).toBe(true);
    for (const one of [encrypted, signed, plain])
      expect(await dkimVerdicts(one, rig.dns)).toEqual(["example.org s2026 ed25519-sha256 pass"]);
    for (const one of TO) await delivered(rig.site, one);
    await eventually(async () => (await bodies(rig)) === 0);
  });

  it("keeps bytes over a restart, though neither key nor certificate is there any more", async () => {
    const rig = await both(DEFERRING);
    await submit(rig.site, { to: TO, content: letter() });
    await rig.arrived(3);
    await rig.site.gateway().stop("test");
    const before = new Map(rig.mx.messages.map(({ recipients, content }) => [recipients.join(), content]));
    await rig.configure(patient);
    rig.mx.change(goodMx);
    await rig.site.start();
    for (const one of TO) await delivered(rig.site, one);
    for (const { recipients, content } of rig.mx.messages.slice(-3))
      expect(before.get(recipients.join())?.equals(content)).toBe(true);
    expect(typeOf(await rig.got("bert@"))).toMatch(/^application\/pkcs7-mime/);
    expect(headerOf(await rig.got("otto@"))).toContain("multipart/signed");
    const line = await rig.site.logged(
      "delivery",
      ({ outcome, recipients }) => outcome === "delivered" && String(recipients).includes("bert@"),
    );
    expect(line).toMatchObject({
      smime: { encrypted: true, recipients: 1 },
      dkim: { signatures: [{ selector: "s2026" }] },
    });
  });

  it("what was stored in plain waits once encryption is demanded, and never leaves as it is", async () => {
    const rig = await createRig(DEFERRING);
    await rig.usePartner("bert", bert);
    await rig.configure(patient);
    await rig.site.start();
    await submit(rig.site, { to: "bert@acme.test", content: letter() });
    await rig.arrived();
    await rig.configure({ ...patient, outbound: { smime: { encrypt: "always" } } });
    expect(await rig.site.gateway().reload()).toEqual([]);
    rig.mx.change(goodMx);
    await rig.site.logged("delivery", ({ reason }) => reason === "treatment-required");
    expect(await submit(rig.site, { to: "bert@acme.test", content: letter() })).toMatch(/^250/);
    const line = await delivered(rig.site, "bert@");
    expect(line).toMatchObject({ smime: { encrypted: true } });
    expect(rig.site.log.filter(({ outcome }) => outcome === "delivered").length).toBe(1);
  });
});
