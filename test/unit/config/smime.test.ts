/** `smime`: where certificates of recipients come from, what is told of bad ones, and the directory. */
import { describe, expect, it } from "vitest";
import { createAuthority } from "../../peers/certificates.ts";
import {
  createMailAuthority,
  EMAIL_PROTECTION,
  type Held as Certified,
  type Person,
  selfSignedPerson,
  USAGE,
} from "../../peers/mail-authority.ts";
import { BASE, gateway, type Held, NOW, ROOT, settings, type Tree, warnings } from "./memory.ts";

const DAY = 86_400_000;
const FOLDER = "../certs/smime/partners";
const dated = (person: Person): Person => ({
  notBefore: new Date(NOW - 400 * DAY),
  notAfter: new Date(NOW + 100 * DAY),
  ...person,
});
const authority = createMailAuthority("Mail CA", dated({}));
const issue = (emails: readonly string[], more: Person = {}): Certified => authority.issue(dated({ emails, ...more }));
const anna = issue(["Anna@Acme.example", "a.admin@acme.example"]);
const nobody = issue([], { commonName: "Gateway" });

const folder = (files: Readonly<Record<string, Held>>): Tree => ({
  "sealpost.yaml": BASE,
  ...Object.fromEntries(Object.entries(files).map(([name, file]) => [`${FOLDER}/${name}`, file])),
});
const recipients = async (files: Readonly<Record<string, Held>>) => (await settings(folder(files))).smime.recipients;
const told = async (files: Readonly<Record<string, Held>>) =>
  (await warnings(folder(files))).map((line) => line.replace("/etc/sealpost/certs/smime/partners/", ""));

describe("certificates of recipients", () => {
  it("need not be there", async () => {
    expect(await recipients({})).toEqual([]);
    expect(await warnings(gateway(""))).toEqual([]);
  });
  it.each<[string, string, Held, object]>([
    ["in PEM, whatever its name", "acme.crt", anna.pem, { addresses: ["anna@acme.example", "a.admin@acme.example"] }],
    ["in DER", "anna.cer", anna.der, { addresses: ["anna@acme.example", "a.admin@acme.example"] }],
    [
      "whose name adds an address of the same domain",
      "Anna.Alias@acme.example.pem",
      anna.pem,
      { addresses: ["anna@acme.example", "a.admin@acme.example", "anna.alias@acme.example"], domains: [] },
    ],
    ["without address, named for one", "b@x.example.pem", nobody.pem, { addresses: ["b@x.example"], domains: [] }],
    ["for a whole domain", "@Acme.example.pem", nobody.pem, { addresses: [], domains: ["acme.example"] }],
    [
      "for a whole domain, with an address of its own",
      "@bücher.example.crt",
      issue(["gate@xn--bcher-kva.example"]).pem,
      { addresses: ["gate@xn--bcher-kva.example"], domains: ["xn--bcher-kva.example"] },
    ],
    [
      "without a subject [RFC 5280 §4.1.2.6]",
      "bare.pem",
      issue(["bare@x.example"], { commonName: "" }).pem,
      { addresses: ["bare@x.example"] },
    ],
    [
      "self-signed, and said to be an authority",
      "c.pem",
      selfSignedPerson(dated({ emails: ["c@x.example"], ca: true })).pem,
      { addresses: ["c@x.example"] },
    ],
    [
      "that others may read",
      "c.pem",
      { text: anna.pem, mode: 0o644 },
      { addresses: ["anna@acme.example", "a.admin@acme.example"] },
    ],
  ])("one %s", async (_, name, file, expected) => {
    const found = await recipients({ [name]: file });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ ...expected, file: `/etc/sealpost/certs/smime/partners/${name}` });
    expect(await told({ [name]: file })).toEqual([]);
  });
  const both = issue(["anna@acme.example", "ceo@victim.example", "b@acme.example"]);
  it.each([
    ["anna@acme.example.pem", { addresses: ["anna@acme.example", "b@acme.example"], domains: [] }],
    ["@acme.example.pem", { addresses: ["anna@acme.example", "b@acme.example"], domains: ["acme.example"] }],
    ["some.pem", { addresses: ["anna@acme.example", "b@acme.example"], domains: [] }],
  ])("placed as %s are for the names in that domain, and the others are told", async (name, expected) => {
    expect(await recipients({ [name]: both.pem })).toMatchObject([expected]);
    expect(await told({ [name]: both.pem })).toEqual([
      expect.stringMatching(/nothing is encrypted with it to ceo@victim\.example, which it names too, .* → put a copy/),
    ]);
  });
  it("harvested keep all of their names, for a trusted CA must vouch for each", async () => {
    const tree = { ...gateway(""), "../data/smime/harvested/1.pem": both.pem };
    expect((await settings(tree)).smime.harvested[0]?.addresses).toHaveLength(3);
    expect(await warnings(tree)).toEqual([]);
  });
  it("come with what stands behind them in the file, and without private keys", async () => {
    const [one] = await recipients({ "anna.pem": anna.keyPem + anna.pem + authority.pem });
    expect(one?.certificate).toBe(anna.pem + authority.pem);
  });
  it("may be several in one file", async () => {
    const found = await recipients({ "all.pem": anna.pem + issue(["b@acme.example"]).pem + authority.pem });
    expect(found.map(({ addresses }) => addresses[0])).toEqual(["anna@acme.example", "b@acme.example"]);
  });
  it("lie in another folder where one is written, relative to the file", async () => {
    const tree = { ...gateway("smime: {partners: them}\n"), "them/anna.pem": anna.pem };
    const { smime, folders, files } = await settings(tree);
    expect(smime.recipients).toHaveLength(1);
    expect(folders).toEqual([`${ROOT}/them`, "/etc/sealpost/data/smime/harvested"]);
    expect(files).toContain(`${ROOT}/them/anna.pem`);
  });
  it("that were harvested are kept apart", async () => {
    const { smime } = await settings({ ...gateway(""), "../data/smime/harvested/1.pem": anna.pem });
    expect(smime).toMatchObject({
      recipients: [],
      harvested: [{ addresses: ["anna@acme.example", "a.admin@acme.example"] }],
    });
  });
});

describe("a bad file of a partner is told and stops nothing:", () => {
  const ended = issue(["d@x.example"], { notAfter: new Date(NOW - DAY) });
  it.each<[string, string, Held, string, string]>([
    ["no certificate", "a.pem", "hello\n", "no certificate in PEM form", "PEM file"],
    ["a private key alone", "a.pem", anna.keyPem, "holds no certificate, but: private key", "holds the certificate"],
    ["cut DER", "a.cer", anna.der.subarray(0, 200), "no certificate that can be read", "smime import"],
    ["an empty file", "a.crt", "", "no certificate in PEM form", "PEM file"],
    ["a file that we may not read", "a.pem", {}, "cannot be read", "the right to read it"],
    ["PKCS#7", "a.p7b", "x", "its name ends in none of", "smime import"],
    ["PKCS#12", "a.p12", "x", "its name ends in none of", "smime import"],
    ["no address, and no name that helps", "acme.pem", nobody.pem, "names no mail address", "ADDRESS.pem"],
    ["a domain that is none", "@acme..example.pem", nobody.pem, "is no domain", "@DOMAIN.pem"],
    ["an authority", "@acme.example.pem", authority.pem, "of an authority", "of the recipient"],
    [
      "a certificate for servers",
      "a.pem",
      issue(["a@x.example"], { purposes: ["1.3.6.1.5.5.7.3.1"] }).pem,
      "not for mail",
      "encrypted to",
    ],
    [
      "one that signs only",
      "a.pem",
      issue(["a@x.example"], { usage: [USAGE.digitalSignature] }).pem,
      "signs only",
      "encrypted to",
    ],
    [
      "a name of another domain",
      "bea@other.example.pem",
      anna.pem,
      "nothing is encrypted to bea@other.example",
      "name the file anna@acme.example.pem",
    ],
    [
      "one that has ended",
      "d.pem",
      ended.pem,
      "ended on 2026-11-23: nothing is encrypted to d@x.example",
      "the next one",
    ],
  ])("%s", async (_, name, file, message, remedy) => {
    const lines = await told({ [name]: file, "good.pem": anna.pem });
    expect(lines).toHaveLength(1);
    expect(lines[0]?.split(" ")[0]).toBe(`${name}:1:1`);
    expect(lines[0]).toContain(message);
    expect(lines[0]?.split(" → ")[1]).toContain(remedy);
    const served = (await recipients({ [name]: file, "good.pem": anna.pem })).flatMap(({ addresses }) => addresses);
    expect(served).toContain("anna@acme.example");
  });
  it.each(["README.md", ".hidden.pem", "notes.txt", "old", "anna.pem~", "anna.csr"])(
    "%s is not even told",
    async (name) => expect(await told({ [name]: "x" })).toEqual([]),
  );
  it("one that has ended is no word worth where its successor is there", async () =>
    expect(await told({ "d.pem": ended.pem, "d2.pem": issue(["d@x.example"]).pem })).toEqual([]));
  it("a purpose named together with mail is good", async () => {
    const both = issue(["a@x.example"], { purposes: ["1.3.6.1.5.5.7.3.2", EMAIL_PROTECTION] });
    expect(await told({ "a.pem": both.pem })).toEqual([]);
  });
  it("a folder that is written and not there yet", async () =>
    expect(await warnings(gateway("smime: {partners: them}\n"))).toEqual([
      expect.stringMatching(/^sealpost\.yaml:4:19 them does not exist yet → .*smime import/),
    ]));
});

describe("trust, revocation and the directory", () => {
  it("are Node's roots, checked and accepted where nobody answers, and none", async () =>
    expect((await settings(gateway(""))).smime).toEqual({
      trust: "system",
      recipients: [],
      harvested: [],
      ldap: null,
      revocation: { check: true, unreachable: "accept", allowPrivate: false },
    }));
  it("are what is written", async () => {
    const root = createAuthority("Root").certificate;
    const { smime } = await settings({
      ...gateway(
        `smime:
  trust: ca.pem
  revocation: {unreachable: wait, allow_private: true}
  ldap:
    url: "LDAP://Directory.example.org:1389/"
    starttls: true
    base: "ou=people,dc=example,dc=org"
    filter: "(&(objectClass=person)(|(mail={address})(proxyAddresses=smtp:{address})))"
    attributes: userCertificate;binary
    bind_dn: "cn=relay,dc=example,dc=org"
    password_file: p
    ca: ca.pem
    cache: 1h
    timeout: 2s
`,
      ),
      "ca.pem": root,
      p: "secret\n",
    });
    expect(smime).toMatchObject({
      trust: [root],
      revocation: { check: true, unreachable: "wait", allowPrivate: true },
      ldap: {
        url: "ldap://directory.example.org:1389",
        startTls: true,
        base: "ou=people,dc=example,dc=org",
        filter: "(&(objectClass=person)(|(mail={address})(proxyAddresses=smtp:{address})))",
        attributes: ["userCertificate;binary"],
        bind: { dn: "cn=relay,dc=example,dc=org", password: "secret" },
        ca: [root],
        cacheMs: 3_600_000,
        timeoutMs: 2_000,
      },
    });
  });
  it.each([
    ["ldaps://[2001:DB8::1]:636", "ldaps://[2001:db8::1]:636"],
    ["ldap://127.0.0.1", "ldap://127.0.0.1"],
    ["ldap://localhost:389", "ldap://localhost:389"],
    ["ldaps://bücher.example", "ldaps://xn--bcher-kva.example"],
  ])("%s is %s, with defaults for the rest", async (url, expected) => {
    const { smime } = await settings(gateway(`smime: {ldap: {url: "${url}", base: "dc=x"}}\n`));
    expect(smime.ldap).toEqual({
      url: expected,
      startTls: false,
      bind: null,
      ca: [],
      base: "dc=x",
      filter: "(mail={address})",
      attributes: ["userCertificate;binary", "userSMIMECertificate;binary"],
      cacheMs: 900_000,
      timeoutMs: 5_000,
    });
  });
});
