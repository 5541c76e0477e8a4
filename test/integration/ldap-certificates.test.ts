import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { element, TAG } from "../../src/mail/der.ts";
import { createAskDirectory, filled } from "../../src/connect/ldap-certificates.ts";
import { createLdapSearch } from "../../src/connect/ldap-search.ts";
import { type Mailbox, parseMailbox } from "../../src/mail/mailbox.ts";
import type { LdapCertificateSettings } from "../../src/mail/smime-settings.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { type LdapServerPeer, startLdapServer } from "../peers/ldap-server.ts";
import { createMailAuthority, oid, seq } from "../peers/mail-authority.ts";

const issuer = createMailAuthority("Acme CA");
const anna = issuer.issue({ commonName: "Anna", emails: ["anna@acme.test"] });
const box = (text: string): Mailbox => parseMailbox(text) as Mailbox;
let server: LdapServerPeer;
beforeEach(async () => void (server = await startLdapServer()));
afterEach(() => server[Symbol.asyncDispose]());

const settings = (over: Partial<LdapCertificateSettings> = {}): LdapCertificateSettings => ({
  url: server.url,
  startTls: false,
  base: "dc=acme,dc=test",
  filter: "(mail={address})",
  attributes: ["userCertificate;binary", "userSMIMECertificate;binary"],
  bind: null,
  ca: [],
  cacheMs: 900_000,
  timeoutMs: 5_000,
  ...over,
});

function rig() {
  let ahead = 0;
  const clock = { now: () => systemClock.now() + ahead };
  const ask = createAskDirectory({ clock, search: createLdapSearch({ clock: systemClock }) });
  return { ask, later: (ms: number) => void (ahead += ms) };
}

/** Certificates alone, as Outlook publishes them. */
const signedData = (...certificates: Buffer[]): Buffer =>
  seq(
    oid("1.2.840.113549.1.7.2"),
    element(
      0xa0,
      seq(
        element(TAG.integer, Buffer.of(1)),
        element(0x31),
        seq(oid("1.2.840.113549.1.7.1")),
        element(0xa0, ...certificates),
        element(0x31),
      ),
    ),
  );

describe("a directory", () => {
  it.each([
    ["as they are", { "userCertificate;binary": [anna.der] }, [anna.der]],
    ["without the option in the name", { userCertificate: [anna.der] }, [anna.der]],
    [
      "within signed data",
      { "userSMIMECertificate;binary": [signedData(anna.der, issuer.der)] },
      [anna.der, issuer.der],
    ],
    ["beside what is none", { userCertificate: [Buffer.from([0xff, 0xfe]), anna.der] }, [anna.der]],
    ["none", { userCertificate: [] }, []],
  ])("gives certificates %s", async (_, entry, certificates) => {
    server.answer({ entries: [entry] });
    expect(await rig().ask(settings(), box("anna@acme.test"))).toEqual({ kind: "found", certificates });
  });

  it("is asked with the address in the filter, and with the password of the configuration", async () => {
    await rig().ask(settings({ bind: { dn: "cn=gateway", password: "secret" } }), box("Anna@ACME.test"));
    expect(server.binds).toEqual([{ dn: "cn=gateway", password: "secret" }]);
    expect(server.searches.map(({ base, filter }) => [base, filter.toString("latin1")])).toEqual([
      ["dc=acme,dc=test", "\xa3\x16\x04\x04mail\x04\x0eanna@acme.test"],
    ]);
  });

  it.each([
    ["knows of nobody", { entries: [] }, { kind: "found", certificates: [] }],
    ["does not know the password", { bind: 49 }, { kind: "failed", detail: expect.stringContaining("49") }],
    ["does not have the base", { search: 32 }, { kind: "failed", detail: expect.stringContaining("32") }],
    ["is busy", { search: 51 }, { kind: "failed", detail: expect.stringContaining("51") }],
    ["is silent", { silent: true }, { kind: "failed", detail: expect.stringContaining("no answer in 200 ms") }],
  ])("that %s says so", async (_, answers, expected) => {
    server.answer(answers);
    const bind = { dn: "cn=gateway", password: "secret" };
    expect(await rig().ask(settings({ bind, timeoutMs: 200 }), box("anna@acme.test"))).toEqual(expected);
  });

  it("that sends without end is cut off", async () => {
    const entry = { userCertificate: [Buffer.alloc(1_000_000, 0xff)] };
    server.answer({ entries: Array.from({ length: 8 }, () => entry) });
    expect(await rig().ask(settings(), box("anna@acme.test"))).toMatchObject({ kind: "failed" });
  });

  it("gives at most twenty certificates, none of them huge", async () => {
    const huge = seq(element(TAG.sequence, Buffer.alloc(70_000)));
    server.answer({ entries: [{ userCertificate: [huge, ...Array.from({ length: 30 }, () => anna.der)] }] });
    const answer = await rig().ask(settings(), box("anna@acme.test"));
    expect(answer).toEqual({ kind: "found", certificates: Array.from({ length: 20 }, () => anna.der) });
  });

  it("is asked once in fifteen minutes, and half a minute after a failure", async () => {
    const { ask, later } = rig();
    const written = settings();
    await ask(written, box("anna@acme.test"));
    later(890_000);
    await ask(written, box("Anna@acme.test"));
    expect(server.searches.length).toBe(1);
    later(20_000);
    server.answer({ search: 51 });
    await ask(written, box("anna@acme.test"));
    later(20_000);
    await ask(written, box("anna@acme.test"));
    expect(server.searches.length).toBe(2);
    later(20_000);
    await ask(written, box("anna@acme.test"));
    expect(server.searches.length).toBe(3);
  });

  it("is asked anew after a reload", async () => {
    const { ask } = rig();
    await ask(settings(), box("anna@acme.test"));
    await ask(settings(), box("anna@acme.test"));
    expect(server.searches.length).toBe(2);
  });

  it("answers many at once over a few connections", async () => {
    const { ask } = rig();
    const written = settings();
    const boxes = Array.from({ length: 20 }, (_, at) => box(`p${at}@acme.test`));
    const answers = await Promise.all(boxes.map((one) => ask(written, one)));
    expect(answers.every(({ kind }) => kind === "found")).toBe(true);
    expect(server.searches.length).toBe(20);
  });

  it("that is silent holds nobody up for longer than its timeout, nor for half a minute after", async () => {
    server.answer({ silent: true });
    let ahead = 0;
    const clock = { ...systemClock, monotonic: () => systemClock.monotonic() + ahead };
    const search = createLdapSearch({ clock });
    const [written, query] = [settings({ timeoutMs: 300 }), { base: "dc=x", filter: "(mail=a)", attributes: ["mail"] }];
    const began = performance.now();
    const many = await Promise.all(Array.from({ length: 80 }, () => search(written, query)));
    expect(performance.now() - began).toBeLessThan(300 * 5); // one after the other, it were 20 times
    expect(new Set(many.map((one) => JSON.stringify(one)))).toEqual(
      new Set([JSON.stringify({ kind: "failed", detail: "no answer in 300 ms" })]),
    );
    expect(server.connections()).toBe(4);
    server.answer({});
    expect(await search(written, query)).toMatchObject({ kind: "failed" });
    expect(await search({ ...written }, query)).toMatchObject({ kind: "entries" }); // a reload
    ahead = 31_000;
    expect(await search(written, query)).toMatchObject({ kind: "entries" });
  });

  it("that nobody reaches is not tried again for every address", async () => {
    const { ask } = rig();
    const written = settings();
    await server[Symbol.asyncDispose]();
    expect(await ask(written, box("a@acme.test"))).toMatchObject({ detail: "no connection: ECONNREFUSED" });
    server = await startLdapServer();
    const back = Object.assign(written, { url: server.url }); // the same settings, and now somebody is there
    expect(await ask(back, box("b@acme.test"))).toMatchObject({ detail: "no connection: ECONNREFUSED" });
    expect(server.connections()).toBe(0);
  });

  it("that refuses one search is asked the next one", async () => {
    const { ask } = rig();
    const written = settings();
    server.answer({ search: 51 });
    expect(await ask(written, box("a@acme.test"))).toMatchObject({ kind: "failed" });
    server.answer({});
    expect(await ask(written, box("b@acme.test"))).toMatchObject({ kind: "found" });
  });

  it("that is slow has two hundred look-ups waiting at most, and not one is forgotten", async () => {
    server.answer({ silent: true });
    const search = createLdapSearch({ clock: systemClock });
    const [written, query] = [settings({ timeoutMs: 400 }), { base: "dc=x", filter: "(mail=a)", attributes: ["mail"] }];
    const many = await Promise.all(Array.from({ length: 210 }, () => search(written, query)));
    const full = many.filter((one) => one.kind === "failed" && one.detail === "too many look-ups wait for it");
    expect(full.length).toBe(6);
  });

  it.each([
    ["ldap:// to another machine without STARTTLS", { url: "ldap://directory.test" }, "without STARTTLS"],
    ["an empty password [RFC 4513 §5.1.2]", { bind: { dn: "cn=gateway", password: "" } }, "without password"],
    ["nobody there", { url: "ldap://127.0.0.1:1" }, "ECONNREFUSED"],
  ])("is not used with %s", async (_, over, words) => {
    const answer = await rig().ask(settings(over), box("anna@acme.test"));
    expect(answer).toEqual({ kind: "failed", detail: expect.stringContaining(words) });
    expect(server.binds).toEqual([]);
  });
});

it.each([
  ["anna@acme.test", "(mail=anna@acme.test)"],
  ["*@acme.test", "(mail=\\2a@acme.test)"],
  ['"a)(uid=*"@acme.test', "(mail=a\\29\\28uid=\\2a@acme.test)"],
  ['"a\\\\b"@acme.test', "(mail=a\\5cb@acme.test)"],
  ["jürgen@acme.test", "(mail=jürgen@acme.test)"],
])("a filter takes %s for what it is [RFC 4515 §3]", (address, filter) => {
  expect(filled("(mail={address})", box(address))).toBe(filter);
});

it("a filter may ask for the domain", () => {
  expect(filled("(|(mail={address})(associatedDomain={domain}))", box("a@Acme.test"))).toBe(
    "(|(mail=a@acme.test)(associatedDomain=acme.test))",
  );
});
