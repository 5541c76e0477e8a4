import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createAskDirectory } from "../../src/connect/ldap-certificates.ts";
import { createLdapSearch } from "../../src/connect/ldap-search.ts";
import { createOutsideHttp } from "../../src/connect/outside-http.ts";
import { createRevocation } from "../../src/connect/revocation.ts";
import { type Mailbox, parseMailbox } from "../../src/mail/mailbox.ts";
import type { RevocationSettings, SmimeSettings } from "../../src/mail/smime-settings.ts";
import type { SmimeRecipientSettings } from "../../src/mail/treatment.ts";
import type { Events } from "../../src/report/events.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { createSmimeDirectory, type SmimeDirectoryDeps } from "../../src/smime-directory.ts";
import { type HttpServer, startHttpServer } from "../peers/http-server.ts";
import { type LdapServerPeer, startLdapServer } from "../peers/ldap-server.ts";
import { createMailAuthority, days, type Held, type Person, selfSignedPerson } from "../peers/mail-authority.ts";

const root = createMailAuthority("Acme Root");
const issuer = root.below("Acme Mail CA");
const stranger = createMailAuthority("Acme Root");
const ANNA: Person = { commonName: "Anna", emails: ["anna@acme.test"] };
const box = (text: string): Mailbox => parseMailbox(text) as Mailbox;

let http: HttpServer;
let ldap: LdapServerPeer;
beforeEach(async () => {
  http = await startHttpServer();
  ldap = await startLdapServer();
});
afterEach(async () => {
  await http[Symbol.asyncDispose]();
  await ldap[Symbol.asyncDispose]();
});

const file = (held: Held, over: Partial<SmimeRecipientSettings> = {}, ...chain: Held[]): SmimeRecipientSettings => ({
  certificate: [held, ...chain].map(({ pem }) => pem).join(""),
  addresses: ["anna@acme.test"],
  domains: [],
  file: "/etc/sealpost/certs/smime/partners/anna.pem",
  ...over,
});
const base: SmimeSettings = {
  trust: [root.pem],
  recipients: [],
  harvested: [],
  ldap: null,
  revocation: { check: true, unreachable: "accept", allowPrivate: true },
};
const unreachable = (how: RevocationSettings["unreachable"]) => ({
  revocation: { ...base.revocation, unreachable: how },
});
const directory = () => ({
  ldap: {
    url: ldap.url,
    startTls: false,
    base: "dc=acme,dc=test",
    filter: "(mail={address})",
    attributes: ["userCertificate;binary", "userSMIMECertificate;binary"],
    bind: null,
    ca: [],
    cacheMs: 0,
    timeoutMs: 2_000,
  },
});
const listed = (...held: Held[]) => ldap.answer({ entries: [{ userCertificate: held.map(({ der }) => der) }] });

function rig(over: Partial<SmimeSettings>, deps: Partial<SmimeDirectoryDeps> = {}) {
  let settings: SmimeSettings = { ...base, ...over };
  let ahead = 0;
  const alarms: Events["alarm"][] = [];
  const clock = { ...systemClock, now: () => systemClock.now() + ahead };
  const ask = createOutsideHttp({
    clock,
    resolveAddresses: () => Promise.resolve({ addresses: ["127.0.0.1"] }),
    allowPrivate: () => settings.revocation.allowPrivate,
  });
  const smime = createSmimeDirectory({
    clock,
    settings: () => settings,
    askDirectory: createAskDirectory({ clock, search: createLdapSearch({ clock }) }),
    checkRevocation: createRevocation({ clock, ask }),
    emit: (_, fields) => void alarms.push(fields as Events["alarm"]),
    ...deps,
  });
  return {
    find: async (address = "anna@acme.test") => {
      const answer = await smime.certificatesFor(box(address), clock.now());
      return answer.kind === "found"
        ? { from: answer.from, der: answer.certificates.map(({ der }) => der) }
        : { [answer.kind]: answer.why };
    },
    alarms,
    use: (next: Partial<SmimeSettings>) => void (settings = { ...base, ...next }),
    later: (ms: number) => void (ahead += ms),
  };
}

describe("a certificate placed by hand", () => {
  const own = selfSignedPerson(ANNA);
  it("is trusted as it is, self-signed or of a CA that nobody here trusts", async () => {
    expect(await rig({ recipients: [file(own)] }).find()).toEqual({ from: "anna.pem", der: [own.der] });
    const foreign = stranger.issue(ANNA);
    expect(await rig({ recipients: [file(foreign)] }).find()).toEqual({ from: "anna.pem", der: [foreign.der] });
  });
  it("of the domain serves who has none of their own", async () => {
    const gateway = selfSignedPerson({ commonName: "Gateway" });
    const recipients = [file(gateway, { addresses: [], domains: ["acme.test"] }), file(own)];
    const { find } = rig({ recipients });
    expect(await find("bob@acme.test")).toMatchObject({ der: [gateway.der] });
    expect(await find("anna@acme.test")).toMatchObject({ der: [own.der] });
    expect(await find("bob@other.test")).toEqual({ none: "No certificate of bob@other.test is known" });
  });
  it("is trusted as it is for whom it was placed only, and needs a trusted CA for whom else it names", async () => {
    const both = { emails: ["anna@acme.test", "ceo@victim.test"] };
    const forged = rig({ recipients: [file(selfSignedPerson(both))] });
    expect(await forged.find("anna@acme.test")).toHaveProperty("der");
    expect(await forged.find("ceo@victim.test")).toEqual({ none: expect.stringContaining("nobody trusted here") });
    expect(await rig({ recipients: [file(root.issue(both))] }).find("ceo@victim.test")).toHaveProperty("der");
  });
  it("that has ended is told with its file's name and date, but not its folder", async () => {
    const ended = selfSignedPerson({ ...ANNA, notBefore: days(-9), notAfter: new Date("2026-01-31T12:00:00Z") });
    expect(await rig({ recipients: [file(ended)] }).find()).toEqual({
      none: "No certificate of anna@acme.test can be used: the one from anna.pem ended on 2026-01-31",
    });
  });
  it("comes before the directory, which is not even asked", async () => {
    listed(issuer.issue(ANNA), issuer);
    expect(await rig({ recipients: [file(own)], ...directory() }).find()).toMatchObject({ der: [own.der] });
    expect(ldap.searches).toEqual([]);
  });
});

describe("a harvested certificate", () => {
  it("must lead to a trusted root, over what came along", async () => {
    const anna = issuer.issue(ANNA);
    expect(await rig({ harvested: [file(anna, {}, issuer)] }).find()).toMatchObject({ der: [anna.der] });
    expect(await rig({ harvested: [file(anna)] }).find()).toEqual({
      none: expect.stringContaining(
        "the one from anna.pem is of CN=Acme Mail CA, whom nobody trusted here vouches for",
      ),
    });
    expect(await rig({ harvested: [file(selfSignedPerson(ANNA))] }).find()).toMatchObject({ none: expect.anything() });
  });
  it("is for those only whom it names itself", async () => {
    const bob = issuer.issue({ emails: ["bob@acme.test"] });
    const { find } = rig({ harvested: [file(bob, { domains: ["acme.test"] }, issuer)] });
    expect(await find()).toEqual({ none: "No certificate of anna@acme.test is known" });
  });
});

describe("a certificate from the directory", () => {
  it("never speaks for a whole domain, though a trusted CA let it name that [RFC 3183 §4.1]", async () => {
    const outsider = root.issue({ emails: ["domain-confidentiality-authority@acme.test"] });
    listed(outsider);
    const { find } = rig({ harvested: [file(outsider)], ...directory() });
    expect(await find()).toEqual({ none: "No certificate of anna@acme.test is known" });
  });
  it("is found, with the intermediate that stands beside it", async () => {
    const anna = issuer.issue(ANNA);
    listed(issuer, anna);
    expect(await rig(directory()).find()).toEqual({ from: "the directory", der: [anna.der] });
  });
  it("of the address comes before one of the domain placed by hand", async () => {
    const anna = root.issue(ANNA);
    listed(anna);
    const recipients = [file(selfSignedPerson({ commonName: "Gateway" }), { addresses: [], domains: ["acme.test"] })];
    expect(await rig({ recipients, ...directory() }).find()).toMatchObject({ der: [anna.der] });
  });
  it("that leads to no trusted root is not used", async () => {
    listed(stranger.issue(ANNA));
    expect(await rig(directory()).find()).toEqual({ none: expect.stringContaining("the one from the directory is ") });
  });
  it("is not sought when there is no directory", async () => {
    expect(await rig({}).find()).toEqual({ none: "No certificate of anna@acme.test is known" });
  });

  it.each([
    ["accept", "unknown"],
    ["wait", "unknown"],
    ["refuse", "none"],
  ] as const)("is, with `%s`, %s while the directory is out: unknown is never no", async (how, kind) => {
    ldap.answer({ search: 51 });
    const revocation = { check: false, unreachable: how, allowPrivate: true };
    const { find, alarms, later } = rig({ ...directory(), revocation });
    expect(await find()).toHaveProperty(kind);
    expect(alarms).toMatchObject([{ code: "certificate-directory-unreachable", state: "raised" }]);
    listed(root.issue(ANNA));
    later(61_000);
    expect(await find()).toMatchObject({ from: "the directory" });
    expect(alarms).toMatchObject([{ state: "raised" }, { state: "cleared" }]);
  });
  it("is not missed while another one is at hand", async () => {
    ldap.answer({ search: 51 });
    const gateway = file(selfSignedPerson({ commonName: "Gateway" }), { addresses: [], domains: ["acme.test"] });
    expect(await rig({ ...directory(), recipients: [gateway] }).find()).toMatchObject({ from: "anna.pem" });
  });
});

describe("revocation", () => {
  const asked = () => ({ ...ANNA, ocsp: [`${http.url}/ocsp`], crl: [`${http.url}/crl`] });
  const serve = (ocsp: Buffer | number, crl: Buffer | number = 503) =>
    http.answer(({ path }, response) => {
      const body = path === "/ocsp" ? ocsp : crl;
      if (typeof body === "number") response.writeHead(body).end();
      else response.end(body);
    });

  it.each([
    ["OCSP", (held: Held) => serve(root.ocsp(held, { status: "revoked" }))],
    ["a list", (held: Held) => serve(503, root.crl([held]))],
  ])("by %s: the certificate is not used, whatever the setting", async (_, tell) => {
    const anna = root.issue(asked());
    tell(anna);
    for (const how of ["accept", "wait", "refuse"] as const) {
      const { find } = rig({ harvested: [file(anna)], ...unreachable(how) });
      expect(await find()).toEqual({ none: expect.stringContaining("the one from anna.pem was revoked on") });
    }
  });

  it("holds for certificates placed by hand, too, where their CA is trusted", async () => {
    const anna = root.issue(asked());
    serve(root.ocsp(anna, { status: "revoked" }));
    expect(await rig({ recipients: [file(anna)] }).find()).toMatchObject({
      none: expect.stringContaining("was revoked"),
    });
  });

  it("of the newest lets the one before it serve", async () => {
    const [old, fresh] = [root.issue({ ...ANNA, notBefore: days(-9) }), root.issue(asked())];
    serve(503, root.crl([fresh]));
    expect(await rig({ harvested: [file(old), file(fresh)] }).find()).toMatchObject({ der: [old.der] });
  });

  it("of a CA on the way breaks the chain", async () => {
    const below = root.below("Acme Mail CA", { crl: [`${http.url}/crl`] });
    serve(503, root.crl([below]));
    expect(await rig({ harvested: [file(below.issue(ANNA), {}, below)] }).find()).toEqual({
      none: expect.stringContaining("leads to CN=Acme Mail CA, which was revoked on"),
    });
  });

  it.each([
    ["accept", "the certificate is used", { der: [expect.any(Buffer)] }],
    [
      "wait",
      "mail waits at the client",
      { unknown: expect.stringContaining("may have been revoked, which nobody tells") },
    ],
    ["refuse", "there is none", { none: expect.stringContaining("may have been revoked, which nobody tells") }],
  ] as const)("that nobody tells, with `%s`: %s, and an alarm says so", async (how, _, expected) => {
    serve(503);
    const { find, alarms } = rig({ harvested: [file(root.issue(asked()))], ...unreachable(how) });
    expect(await find()).toMatchObject(expected);
    expect(alarms).toMatchObject([{ code: "revocation-unreachable", partner: null, state: "raised" }]);
    expect(alarms[0]?.remedy).toContain("CN=Acme Root");
  });

  it("is told again: the alarm ends, and mail is accepted", async () => {
    serve(503);
    const anna = root.issue(asked());
    const { find, alarms, later } = rig({ harvested: [file(anna)], ...unreachable("wait") });
    expect(await find()).toHaveProperty("unknown");
    serve(root.ocsp(anna));
    later(301_000);
    expect(await find()).toHaveProperty("der");
    expect(alarms.map(({ state }) => state)).toEqual(["raised", "cleared"]);
  });

  it.each([
    ["accept", "der"],
    ["wait", "der"],
    ["refuse", "none"],
  ] as const)("of which a certificate says nothing, with `%s`: %s", async (how, kind) => {
    expect(await rig({ harvested: [file(root.issue(ANNA))], ...unreachable(how) }).find()).toHaveProperty(kind);
  });

  it("is not asked about when switched off", async () => {
    const revocation = { ...base.revocation, check: false };
    expect(await rig({ harvested: [file(root.issue(asked()))], revocation }).find()).toHaveProperty("der");
    expect(http.asked).toEqual([]);
  });

  it("is not asked for in our own networks unless permitted", async () => {
    const revocation = { ...base.revocation, allowPrivate: false, unreachable: "wait" } as const;
    const answer = await rig({ harvested: [file(root.issue(asked()))], revocation }).find();
    expect(answer).toEqual({ unknown: expect.stringContaining("private network") });
    expect(http.asked).toEqual([]);
  });
});

describe("an answer", () => {
  it("is given with certificates that have an empty subject [RFC 5280 §4.1.2.6]", async () => {
    const bare = root.issue({ ...ANNA, commonName: "" });
    listed(bare, selfSignedPerson({ ...ANNA, commonName: "" }));
    expect(await rig(directory()).find()).toMatchObject({ der: [bare.der] });
  });
  it("that a defect prevents is unknown, told as an error, and not kept", async () => {
    const told: unknown[] = [];
    let broken = true;
    const { find } = rig(directory(), {
      askDirectory: () =>
        broken ? Promise.reject(new TypeError("gone")) : Promise.resolve({ kind: "found", certificates: [] }),
      emit: (event, fields) => void told.push([event, fields]),
    });
    expect(await find()).toEqual({ unknown: expect.stringContaining("the look-up failed") });
    expect(told).toEqual([["error", { kind: "smime-directory", detail: expect.stringContaining("TypeError: gone") }]]);
    broken = false;
    expect(await find()).toHaveProperty("none");
  });
  it("that does not come is unknown after half a minute, for all recipients of the message together", async () => {
    const asleep: number[] = [];
    const clock = { now: systemClock.now, sleep: (ms: number) => Promise.resolve(void asleep.push(ms)) };
    const { find } = rig(directory(), { clock, askDirectory: () => new Promise(() => undefined) });
    const answers = await Promise.all([find(), find("bob@acme.test")]);
    for (const answer of answers) expect(answer).toEqual({ unknown: expect.stringContaining("takes too long") });
    expect(asleep).toEqual([30_000, 30_000]);
  });
  it("serves all recipients of one minute, and those who ask at the same time", async () => {
    listed(root.issue(ANNA));
    const { find, later } = rig(directory());
    await Promise.all([find(), find("Anna@acme.test"), find()]);
    later(50_000);
    await find();
    expect(ldap.searches.length).toBe(1);
    later(20_000);
    await find();
    expect(ldap.searches.length).toBe(2);
  });
  it("is sought anew after a reload", async () => {
    const { find, use } = rig({ recipients: [file(selfSignedPerson(ANNA))] });
    expect(await find()).toHaveProperty("der");
    use({ recipients: [] });
    expect(await find()).toHaveProperty("none");
  });
  it("names every certificate with a key of its own", async () => {
    const [a, b] = [root.issue({ ...ANNA, notBefore: days(-3) }), root.issue({ ...ANNA, commonName: "Anna A." })];
    const { find } = rig({ recipients: [file(a), file(b)] });
    expect(await find()).toMatchObject({ der: [b.der, a.der] });
  });
  it("is text for an SMTP reply, whatever stands in certificates", async () => {
    const odd = createMailAuthority(`Ü\u2028${"x".repeat(900)}`);
    const answer = await rig({ harvested: [file(odd.issue(ANNA))] }).find();
    expect(answer).toEqual({ none: expect.stringMatching(/^[\x20-\x7e]{100,400}$/) });
  });
});

it("trusts the machine's own CAs where the configuration says system", async () => {
  const anna = root.issue(ANNA);
  const { find } = rig({ trust: "system", harvested: [file(anna)] });
  expect(await find()).toEqual({ none: expect.stringContaining("whom nobody trusted here vouches for") });
});
