/** Whose certificate a whole gateway encrypts for, and what it does when nobody tells whether that still holds. */
import { describe, expect, it } from "vitest";
import { type HttpServer, startHttpServer } from "../peers/http-server.ts";
import { type LdapServerPeer, startLdapServer } from "../peers/ldap-server.ts";
import type { Tree } from "../peers/gateway.ts";
import { days, type Held, selfSignedPerson } from "../peers/mail-authority.ts";
import { newKey } from "../unit/transform/dkim-keys.ts";
import {
  createRig,
  delivered,
  later,
  letter,
  mailRoot,
  opened,
  person,
  type Rig,
  SIGNERS,
  submit,
  typeOf,
} from "./treatment-rig.ts";

const TO = "bert@acme.test";
const send = ({ site }: Rig): Promise<string> => submit(site, { to: TO, content: letter() });

async function http(): Promise<HttpServer> {
  const server = await startHttpServer();
  later(() => Promise.resolve(server[Symbol.asyncDispose]()));
  return server;
}

async function checking(held: Held, encrypt: string, revocation: Tree = {}): Promise<Rig> {
  const rig = await createRig();
  await rig.usePartner("bert", held);
  await rig.configure({
    outbound: { smime: { encrypt } },
    smime: { revocation: { check: true, allow_private: true, ...revocation } },
  });
  await rig.site.start();
  return rig;
}

describe("a certificate that its authority has revoked", () => {
  async function revoked(): Promise<Held> {
    const server = await http();
    const held = person(TO, { crl: [`${server.url}/list.crl`] });
    server.answer((_, response) => void response.end(mailRoot.crl([held])));
    return held;
  }

  it("refuses mail that must be encrypted, and says why [RFC 5280 §6.3]", async () => {
    const rig = await checking(await revoked(), "always");
    expect(await send(rig)).toMatch(/^550 5\.7\.5 .*bert@acme\.test.*revoked/);
    expect(rig.mx.connections()).toBe(0);
  });

  it("is not encrypted for at if-known", async () => {
    const rig = await checking(await revoked(), "if-known");
    expect(await send(rig)).toMatch(/^250/);
    expect(typeOf(await rig.got(TO))).toBe("");
    expect(await delivered(rig.site, TO)).not.toHaveProperty("smime");
  });

  it("counts as good while the list does not name it", async () => {
    const server = await http();
    const held = person(TO, { crl: [`${server.url}/list.crl`] });
    server.answer((_, response) => void response.end(mailRoot.crl([person("other@acme.test")])));
    const rig = await checking(held, "always");
    expect(await send(rig)).toMatch(/^250/);
    expect(opened(await rig.got(TO), held.key)).toBeDefined();
    expect(server.asked.length).toBe(1);
  });
});

describe("a responder that does not answer", () => {
  it.each([
    ["accept", "always", /^250/],
    ["wait", "always", /^451 4\.7\.5 .*bert@acme\.test/],
    ["wait", "if-known", /^451 4\.7\.5 .*bert@acme\.test/],
    ["refuse", "always", /^550 5\.7\.5 .*bert@acme\.test/],
  ])("unreachable: %s, encrypt: %s", async (unreachable, encrypt, reply) => {
    const server = await http();
    server.answer((_, response) => void response.writeHead(503).end());
    const held = person(TO, { ocsp: [server.url] });
    const rig = await checking(held, encrypt, { unreachable });
    expect(await send(rig)).toMatch(reply);
    const alarm = await rig.site.logged("alarm", ({ code }) => code === "revocation-unreachable");
    expect(alarm["state"]).toBe("raised");
    if (unreachable === "accept") expect(opened(await rig.got(TO), held.key)).toBeDefined();
    else expect(rig.mx.connections()).toBe(0);
  });

  it("is asked by its name, and its good answer is enough", async () => {
    const server = await http();
    const held = person(TO, { ocsp: [server.url.replace("127.0.0.1", "ocsp.acme.test")] });
    server.answer((_, response) => void response.end(mailRoot.ocsp(held)));
    const rig = await createRig();
    rig.dns.zones["ocsp.acme.test"] = { A: ["127.0.0.1"] };
    await rig.usePartner("bert", held);
    await rig.configure({
      outbound: { smime: { encrypt: "always" } },
      smime: { revocation: { check: true, allow_private: true, unreachable: "refuse" } },
    });
    await rig.site.start();
    expect(await send(rig)).toMatch(/^250/);
    expect(server.asked.length).toBe(1);
  });
});

describe("the directory", () => {
  async function listing(encrypt: string, revocation: Tree = { check: false }): Promise<[Rig, LdapServerPeer]> {
    const ldap = await startLdapServer();
    later(() => Promise.resolve(ldap[Symbol.asyncDispose]()));
    const rig = await createRig();
    await rig.configure({
      outbound: { smime: { encrypt } },
      smime: { ldap: { url: ldap.url, base: "dc=acme,dc=test", timeout: "2s" }, revocation },
    });
    await rig.site.start();
    return [rig, ldap];
  }

  it("gives the certificate that mail is encrypted for", async () => {
    const [rig, ldap] = await listing("always");
    const held = person(TO);
    ldap.answer({ entries: [{ "userCertificate;binary": [held.der] }] });
    expect(await send(rig)).toMatch(/^250/);
    expect(opened(await rig.got(TO), held.key)).toBeDefined();
    expect(ldap.searches.length).toBe(1);
  });

  it("gives none of an authority that nobody trusts", async () => {
    const [rig, ldap] = await listing("always");
    ldap.answer({ entries: [{ "userCertificate;binary": [selfSignedPerson({ emails: [TO] }).der] }] });
    expect(await send(rig)).toMatch(/^550 5\.7\.5 /);
  });

  it.each(["always", "if-known"])("makes mail wait at %s while it is down: unknown is not no", async (encrypt) => {
    const [rig, ldap] = await listing(encrypt);
    await ldap[Symbol.asyncDispose]();
    expect(await send(rig)).toMatch(/^451 4\.7\.5 .*bert@acme\.test.*try again later/);
    expect(rig.site.log.some(({ event }) => event === "message.accepted")).toBe(false);
    const alarm = await rig.site.logged("alarm", ({ code }) => code === "certificate-directory-unreachable");
    expect(alarm["state"]).toBe("raised");
  });
});

describe("what ends soon", () => {
  it("is told at start: a certificate and a key with ten days left, by name and date", async () => {
    const rig = await createRig();
    const over = { notAfter: days(10) };
    await rig.useSigner("anna@example.org", person("anna@example.org", over));
    await rig.usePartner("bert", person(TO, over));
    const end = days(10).toISOString().slice(0, 10);
    const keys = await rig.useKeys([newKey("ed25519-sha256")], [{ not_after: end }]);
    await rig.configure({}, { ...SIGNERS, ...keys });
    await rig.site.start();
    for (const what of [/signs for anna@example\.org/, /bert/, /DKIM key s2026 of example\.org/]) {
      const line = await rig.site.logged(
        "alarm",
        ({ code, remedy }) => code === "certificate-expiring" && what.test(String(remedy)),
      );
      expect(line).toMatchObject({ state: "raised", level: "warn" });
      expect(String(line["remedy"])).toMatch(/in 1[01] days/);
    }
  });

  it("one that has ended signs and encrypts no more: the sender is told, nobody sends without", async () => {
    const rig = await createRig();
    const over = { notBefore: days(-20), notAfter: days(-1) };
    await rig.useSigner("anna@example.org", person("anna@example.org", over));
    await rig.usePartner("bert", person(TO, over));
    const configure = (smime: Tree) => rig.configure({ outbound: { smime } }, SIGNERS);
    await configure({ sign: "always" });
    await rig.site.start();
    expect(await send(rig)).toMatch(/^550 5\.7\.5 .*no valid key for anna@example\.org/);
    await configure({ encrypt: "always" });
    expect(await rig.site.gateway().reload()).toEqual([]);
    expect(await send(rig)).toMatch(/^550 5\.7\.5 .*bert@acme\.test/);
  });
});
