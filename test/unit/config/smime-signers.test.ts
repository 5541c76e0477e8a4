/** `smime` of `domains`: which files sign for whom, and what is told of those that cannot. */
import { describe, expect, it } from "vitest";
import { createMailAuthority, type Held as Certified, type Person, USAGE } from "../../peers/mail-authority.ts";
import { BASE, type Held, NOW, problems, settings, type Tree, warnings } from "./memory.ts";

const DAY = 86_400_000;
const dated = (person: Person): Person => ({
  notBefore: new Date(NOW - 400 * DAY),
  notAfter: new Date(NOW + 100 * DAY),
  ...person,
});
const authority = createMailAuthority("Root", dated({}));
const middle = authority.below("Mail CA", dated({}));
const issue = (emails: readonly string[], more: Person = {}): Certified => middle.issue(dated({ emails, ...more }));
const pem = (held: Certified): string => held.pem + middle.pem + authority.pem + held.keyPem;
const anna = issue(["Anna@example.org"]);
const gate = issue(["gateway@example.org"]);

type FilesOf = Readonly<Record<string, Held>>;
const ONE = `domains:\n  - {domain: [example.org, example.com], next_hop: x.example, smime: {directory: keys}}\n`;
const tree = (files: FilesOf, domains = ONE): Tree => ({
  "sealpost.yaml": BASE + domains,
  ...Object.fromEntries(Object.entries(files).map(([name, file]) => [`keys/${name}`, file])),
});
const signers = async (files: FilesOf, domains = ONE) =>
  Object.fromEntries(
    (await settings(tree(files, domains))).policy.ownDomains.map(({ domain, smime }) => [
      domain,
      smime.map(({ address = "all" }) => address),
    ]),
  );

describe("keys that sign", () => {
  it("are those of senders in the domain of each, and one for all others", async () =>
    expect(
      await signers({
        "Anna@example.org.pem": pem(anna),
        "bea@Example.com.pem": pem(issue(["bea@example.com"])),
        "_gateway.pem": pem(gate),
      }),
    ).toEqual({ "example.org": ["anna@example.org", "all"], "example.com": ["all", "bea@example.com"] }));
  it("come with certificate, chain and key apart", async () => {
    const { policy } = await settings(tree({ "anna@example.org.pem": pem(anna) }));
    expect(policy.ownDomains[0]?.smime).toEqual([
      { address: "anna@example.org", certificate: anna.pem, chain: [middle.pem], key: anna.keyPem },
    ]);
  });
  it("may be of senders below a domain", async () =>
    expect(await signers({ "c@sub.example.org.pem": pem(issue(["c@sub.example.org"])) })).toEqual({
      "example.org": ["c@sub.example.org"],
      "example.com": [],
    }));
  it("of several entries may lie in one folder", async () => {
    const entry = (domain: string) => `  - {domain: ${domain}, next_hop: x.example, smime: {directory: keys}}\n`;
    const files = {
      "anna@example.org.pem": pem(anna),
      "bea@example.com.pem": pem(issue(["bea@example.com"])),
      "_gateway.pem": pem(gate),
    };
    expect(await signers(files, `domains:\n${entry("example.org")}${entry("example.com")}`)).toEqual({
      "example.org": ["all", "anna@example.org"],
      "example.com": ["all", "bea@example.com"],
    });
  });
  it("and their folder are watched", async () => {
    const { files, folders } = await settings(tree({ "anna@example.org.pem": pem(anna) }));
    expect(files).toContain("/etc/sealpost/config/keys/anna@example.org.pem");
    expect(folders).toContain("/etc/sealpost/config/keys");
  });
  it("may be read by their group where that is said", async () => {
    const files = { "anna@example.org.pem": { text: pem(anna), mode: 0o640 } };
    const domains = ONE.replace("directory: keys", "directory: keys, allow_group_read: true");
    expect(await signers(files, domains)).toMatchObject({ "example.org": ["anna@example.org"] });
  });
});

describe("passwords", () => {
  const locked = (held: Certified, passphrase: string): string =>
    held.pem + held.key.export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase }).toString();
  const domains = ONE.replace("directory: keys", "directory: keys, password_file: keys/password");
  it("are that of password_file, or the one beside the key, which comes first", async () => {
    const files = {
      "anna@example.org.pem": locked(anna, "one of her own"),
      "anna@example.org.password": "one of her own\n",
      "_gateway.pem": locked(gate, "for all"),
      password: "for all\n",
    };
    expect(await signers(files, domains)).toMatchObject({ "example.org": ["all", "anna@example.org"] });
  });
  it.each([
    [
      "missing",
      ONE,
      {},
      "needs a password → write the password into ADDRESS.password beside it, or into password_file",
    ],
    [
      "wrong",
      domains,
      { password: "h1dd3n\n" },
      "does not open with its password, or is damaged → correct the password",
    ],
  ])("that are %s are told, and never shown", async (_, text, more, said) => {
    const found = await problems(tree({ "_gateway.pem": locked(gate, "s3cret"), ...more }, text));
    expect(found).toEqual([`keys/_gateway.pem:1:1 ${said}`]);
  });
});

describe("what lies beside them", () => {
  it.each(["README.md", "anna@example.org.csr", "anna@example.org.key", "ca.crt", ".x.pem", "password", "notes.txt"])(
    "%s is not looked at",
    async (name) => expect(await warnings(tree({ "_gateway.pem": pem(gate), [name]: "x" }))).toEqual([]),
  );
  it.each(["anna.pem", "anna@.p12", "ca.pem", "_gateways.p12", "anna@example.org", "anna@example.org.p7b"])(
    "%s is told: nobody signs with it",
    async (name) =>
      expect(await warnings(tree({ "_gateway.pem": pem(gate), [name]: pem(anna) }))).toEqual([
        expect.stringMatching(/^keys\/[^:]+:1:1 nobody signs with this file → name it ADDRESS\.p12/),
      ]),
  );
  it("a folder without keys is told", async () =>
    expect(await warnings(tree({ "README.md": "x" }))).toEqual([
      expect.stringMatching(/^sealpost\.yaml:5:\d+ "keys" holds no key to sign with → put one there/),
    ]));
});

describe("dates", () => {
  it.each([
    ["ended on 2026-11-23 and no longer signs", "renew it", { notAfter: new Date(NOW - DAY) }],
    ["begins on 2026-11-25", "check the clock", { notBefore: new Date(NOW + DAY) }],
  ])("a certificate that %s is a warning", async (message, remedy, dates) => {
    const files = { "d@example.org.pem": pem(issue(["d@example.org"], dates)) };
    expect(await warnings(tree(files))).toEqual([
      expect.stringMatching(new RegExp(`^keys/d@example.org.pem:1:1 the certificate ${message} → ${remedy}`)),
    ]);
    expect(await signers(files)).toMatchObject({ "example.org": ["d@example.org"] });
  });
});

describe("is refused with its place and a remedy:", () => {
  const own = "keys/anna@example.org.pem:1:1";
  it.each<[string, FilesOf, string, string, string]>([
    ["a missing folder", {}, "sealpost.yaml:5:82", '"keys" is no folder', "create it, or correct the path"],
    [
      "an address of a domain of others",
      { "x@other.example.pem": pem(issue(["x@other.example"])) },
      "keys/x@other.example.pem:1:1",
      "in none of the domains that name this folder: example.org, example.com",
      "below domains",
    ],
    [
      "a key that others may read",
      { "anna@example.org.pem": { text: pem(anna), mode: 0o644 } },
      own,
      "others may read",
      "chmod 600",
    ],
    [
      "a key of somebody else",
      { "anna@example.org.pem": { text: pem(anna), owner: "other" } },
      own,
      "another user",
      "chown",
    ],
    ["one that we may not read", { "anna@example.org.pem": {} }, own, "cannot be read", "the right to read it"],
    ["no key", { "anna@example.org.pem": anna.pem }, own, "holds no private key", "into one file"],
    [
      "a key of another certificate",
      { "anna@example.org.pem": anna.pem + gate.keyPem },
      own,
      "no certificate of its private key",
      "of this key",
    ],
    [
      "no PKCS#12",
      { "anna@example.org.p12": "x" },
      "keys/anna@example.org.p12:1:1",
      "neither PKCS#12 nor PEM",
      "private key",
    ],
    [
      "a certificate for another address",
      { "bea@example.org.pem": pem(anna) },
      "keys/bea@example.org.pem:1:1",
      "is for anna@example.org, not for bea@example.org",
      "name the file after anna@example.org",
    ],
    [
      "a certificate without address",
      { "anna@example.org.pem": pem(issue([])) },
      own,
      "does not name anna@example.org",
      "smime request",
    ],
    [
      "a certificate for servers",
      { "_gateway.pem": pem(issue([], { purposes: ["1.3.6.1.5.5.7.3.1"] })) },
      "keys/_gateway.pem:1:1",
      "not for mail",
      "smime request",
    ],
    [
      "a certificate that may only be encrypted to",
      { "anna@example.org.pem": pem(issue(["anna@example.org"], { usage: [USAGE.keyEncipherment] })) },
      own,
      "for encryption only",
      "the one for signatures",
    ],
    [
      "two files for one address",
      { "anna@example.org.pem": pem(anna), "ANNA@example.org.pem": pem(anna) },
      own,
      "ANNA@example.org.pem is there already for anna@example.org",
      "remove one of the two",
    ],
    [
      "a password that others may read",
      { "anna@example.org.pem": pem(anna), "anna@example.org.password": { text: "x", mode: 0o644 } },
      "keys/anna@example.org.password:1:1",
      "others may read",
      "chmod 600",
    ],
    [
      "a password of two lines",
      { "anna@example.org.pem": pem(anna), "anna@example.org.password": "x\ny\n" },
      "keys/anna@example.org.password:1:1",
      "one line with a password",
      "alone",
    ],
  ])("%s", async (_, files, place, message, remedy) => {
    const found = await problems(tree(files));
    expect(found).toHaveLength(1);
    const [said = "", todo = ""] = found[0]?.split(" → ") ?? [];
    expect(said.split(" ")[0]).toBe(place);
    expect(said).toContain(message);
    expect(todo).toContain(remedy);
    expect(todo).not.toBe("");
  });
  it("a password file that is missing, once for all keys", async () => {
    const domains = ONE.replace("directory: keys", "directory: keys, password_file: gone");
    expect(await problems(tree({ "anna@example.org.pem": pem(anna), "_gateway.pem": pem(gate) }, domains))).toEqual([
      expect.stringMatching(/^sealpost\.yaml:5:\d+ "gone" does not exist → create it/),
    ]);
  });
  it("but not for a domain that was left out for what is wrong in it", async () => {
    const domains = `${ONE}  - {domain: other.example, next_hop: "[", smime: {directory: keys}}\n`;
    expect(await problems(tree({ "x@other.example.pem": pem(issue(["x@other.example"])) }, domains))).toEqual([
      expect.stringMatching(/^sealpost\.yaml:6:\d+ .*next_hop/),
    ]);
  });
});
