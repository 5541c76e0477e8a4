/** `sealpost smime list`, `import` and `request`, on files, and beside a gateway that runs. */
import { createPublicKey, verify, X509Certificate } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Gateway } from "../../src/gateway.ts";
import { element, type Element, inside, oidOctets, TAG } from "../../src/mail/der.ts";
import { createMailAuthority, DAY_MS, EMAIL_PROTECTION, type Person, USAGE } from "../peers/mail-authority.ts";
import { outbound } from "../unit/decide/policies.ts";
import { settings } from "../unit/cli/fake-deps.ts";
import { cliDeps, run } from "./cli-deps.ts";

let folder: string;
let gateway: Gateway | undefined;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealpost-smime-"));
  await mkdir(join(folder, "config"));
  await configure();
});
afterEach(async () => {
  await gateway?.stop("test over");
  gateway = undefined;
  await rm(folder, { recursive: true, force: true });
});

const configFile = () => join(folder, "config", "sealpost.yaml");

async function configure(more = ""): Promise<void> {
  const text = `hostname: relay.example.org
postmaster: postmaster@example.org
data_dir: ../data
listeners: [{name: smarthost, address: 127.0.0.1, port: 0, clients: [127.0.0.0/8]}]
queue: {key_file: ../certs/queue.key, reserve: 1MiB}
admin: {address: 127.0.0.1, port: 0, token_file: ../data/admin.token}
${more}`;
  await writeFile(configFile(), text);
}

const smime = (...words: string[]) => run(folder, ["smime", ...words, "-c", configFile()]);
const partners = () => join(folder, "certs", "smime", "partners");
const lines = (out: string) =>
  out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const root = createMailAuthority("Mail Root");
const ca = root.below("Mail CA");
const FOR_MAIL = { purposes: [EMAIL_PROTECTION], usage: [USAGE.digitalSignature, USAGE.keyAgreement] };
const certificate = (email: string, over: Person = {}) =>
  ca.issue({ commonName: email, emails: [email], ...FOR_MAIL, ...over });
const bea = certificate("bea@acme.example");

async function file(name: string, content: string | Buffer): Promise<string> {
  await writeFile(join(folder, name), content);
  return name;
}

const seq = (...parts: Buffer[]) => element(TAG.sequence, ...parts);
const oid = (dotted: string) => element(TAG.oid, oidOctets(dotted));

/** Certs-only [RFC 8551 §3.8]. */
function p7b(...ders: Buffer[]): Buffer {
  const data = seq(oid("1.2.840.113549.1.7.1"));
  const fields = [element(TAG.integer, Buffer.of(1)), element(0x31), data, element(0xa0, ...ders), element(0x31)];
  return seq(oid("1.2.840.113549.1.7.2"), element(0xa0, seq(...fields)));
}

describe("smime import", () => {
  it("copies a certificate to where the gateway looks for it, and shows what is to be compared", async () => {
    const ran = await smime("import", await file("x.pem", bea.keyPem + bea.pem));
    expect(ran.code).toBe(0);
    expect(ran.out).toBe(
      [
        "bea@acme.example, in certs/smime/partners/bea@acme.example.pem",
        "  CN=bea@acme.example, by CN=Mail CA",
        `  ec prime256v1, until ${bea.x509.validToDate.toISOString().slice(0, 10)}`,
        `  SHA-256 ${bea.x509.fingerprint256}`,
        "",
      ].join("\n"),
    );
    expect(ran.error).toContain("Compare the fingerprint with the holder by telephone");
    expect(ran.error).toContain("No gateway runs here");
    const kept = await readFile(join(partners(), "bea@acme.example.pem"), "utf8");
    expect(kept).toBe(bea.pem); // and no key
    const listed = await smime("list", "--json");
    expect(lines(listed.out)).toMatchObject([
      {
        kind: "partner",
        for: ["bea@acme.example"],
        usableFor: ["encrypt"],
        problems: [],
        sha256: bea.x509.fingerprint256,
      },
    ]);
  });

  it.each<[string, () => string | Buffer]>([
    ["DER", () => bea.der],
    ["P7B", () => p7b(bea.der, ca.der)],
    [
      "a signed message",
      () =>
        `Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n--b\r\nContent-Type: application/pkcs7-signature\r\n` +
        `Content-Transfer-Encoding: base64\r\n\r\n${p7b(ca.der, bea.der).toString("base64")}\r\n--b--\r\n`,
    ],
  ])("reads %s", async (_, content) => {
    const ran = await smime("import", await file("x", content()), "--json");
    expect(ran).toMatchObject({ code: 0, error: "" });
    expect(lines(ran.out)).toMatchObject([{ ok: true, for: ["bea@acme.example"] }]);
  });

  it("takes the certificates of authorities along that came with it", async () => {
    await smime("import", await file("x.p7b", p7b(bea.der, ca.der)));
    expect(await readFile(join(partners(), "bea@acme.example.pem"), "utf8")).toBe(bea.pem + ca.pem);
    expect(lines((await smime("list", "--json")).out)).toHaveLength(1);
  });

  it("puts a domain's certificate where everyone there is written to with it", async () => {
    const desk = certificate("gateway@acme.example");
    const ran = await smime("import", await file("x.pem", desk.pem), "--for", "@ACME.example");
    expect(ran.code).toBe(0);
    expect(await readdir(partners())).toEqual(["@acme.example.pem"]);
    expect(lines((await smime("list", "--json")).out)).toMatchObject([
      { for: ["gateway@acme.example", "@acme.example"] },
    ]);
  });

  it("takes one for the domain that its file is named after, and not for whom else it names", async () => {
    const both = certificate("bea@acme.example", { emails: ["bea@acme.example", "ceo@victim.example"] });
    const ran = await smime("import", await file("x.pem", both.pem), "--json");
    expect(lines(ran.out)).toMatchObject([{ ok: true, for: ["bea@acme.example"] }]);
    expect(lines((await smime("list", "--json")).out)).toMatchObject([{ for: ["bea@acme.example"] }]);
    const again = await smime("import", await file("x.pem", both.pem), "--for", "ceo@victim.example", "--json");
    expect(lines(again.out)).toMatchObject([{ ok: true, for: ["ceo@victim.example"] }]);
    expect((await readdir(partners())).toSorted()).toEqual(["bea@acme.example.pem", "ceo@victim.example.pem"]);
  });

  it("adds the next one of the same holder beside the old one", async () => {
    const next = certificate("bea@acme.example");
    await smime("import", await file("old.pem", bea.pem));
    const ran = await smime("import", await file("new.pem", next.pem));
    expect(ran.out).toContain("bea@acme.example.pem, beside what was there\n");
    expect(await readFile(join(partners(), "bea@acme.example.pem"), "utf8")).toBe(bea.pem + next.pem);
    expect(lines((await smime("list", "--json")).out)).toHaveLength(2);
  });

  it("refuses one that is there already, under whatever name", async () => {
    await smime("import", await file("x.pem", bea.pem), "--for", "@acme.example");
    const ran = await smime("import", await file("y.pem", bea.pem));
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.error).toBe("CN=bea@acme.example is in certs/smime/partners/@acme.example.pem already.\n");
    expect(await readdir(partners())).toEqual(["@acme.example.pem"]);
  });

  it.each<[string, Person, readonly string[], RegExp]>([
    ["has ended", { notAfter: new Date(Date.now() - DAY_MS) }, [], /ended on \d{4}/],
    ["is not valid yet", { notBefore: new Date(Date.now() + DAY_MS) }, [], /is not valid before/],
    ["only signs", { usage: [USAGE.digitalSignature] }, [], /may be used for signatures only/],
    ["is a server's", { purposes: ["1.3.6.1.5.5.7.3.1"] }, [], /is not for e-mail/],
    ["has a key that signs only", { keyType: "ed25519" }, [], /nothing can be encrypted/],
    ["names nobody", { emails: [] }, [], /names no address\. Say whose it is/],
    ["is for somebody else", {}, ["--for", "cem@other.example"], /nothing would be encrypted to cem@other\.example/],
    ["cannot name a file", {}, ["--for", "a/b@acme.example"], /no file can be named after/],
  ])("does not take one that %s", async (_, over, words, error) => {
    const ran = await smime("import", await file("x.pem", certificate("dora@acme.example", over).pem), ...words);
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.error).toMatch(error);
    expect(await readdir(partners()).catch(() => [])).toEqual([]);
  });

  it("takes one without an address for whom it is told", async () => {
    const nameless = certificate("", { commonName: "Gateway", emails: [] });
    expect((await smime("import", await file("x.pem", nameless.pem), "--for", "eve@acme.example")).code).toBe(0);
    expect(lines((await smime("list", "--json")).out)).toMatchObject([
      { for: ["eve@acme.example"], usableFor: ["encrypt"] },
    ]);
  });

  it("leaves the signing certificate out that comes beside the one to encrypt to", async () => {
    const signs = certificate("bea@acme.example", { usage: [USAGE.digitalSignature] });
    const ran = await smime("import", await file("x.p7b", p7b(signs.der, bea.der)));
    expect(ran.code).toBe(0);
    expect(ran.error).toContain("left out: x.p7b: CN=bea@acme.example may be used for signatures only.\n");
    expect(await readFile(join(partners(), "bea@acme.example.pem"), "utf8")).toBe(bea.pem);
  });

  it("imports what can be, and ends with 1 for the rest", async () => {
    const ran = await smime(
      "import",
      await file("x.pem", bea.pem),
      "nothing.pem",
      await file("hello", "hello"),
      await file("ca.pem", ca.pem),
      "--json",
    );
    expect(ran).toMatchObject({ code: 1, error: "" });
    expect(lines(ran.out)).toMatchObject([
      { ok: true },
      { ok: false, problem: "nothing.pem cannot be read" },
      { ok: false, problem: expect.stringContaining("holds no certificate") as string },
      { ok: false, problem: expect.stringContaining("authorities only") as string },
    ]);
  });

  it("takes the folder that the configuration names, however wrong the rest of it is", async () => {
    await configure("smime: {partners: theirs}\nno_such_key: 1");
    const ran = await smime("import", await file("x.pem", bea.pem));
    expect(ran.code).toBe(0);
    expect(ran.error).toContain("The configuration has problems");
    expect(await readdir(join(folder, "config", "theirs"))).toEqual(["bea@acme.example.pem"]);
  });

  it("says so where it cannot write, and leaves no draft", async () => {
    await mkdir(join(partners(), "bea@acme.example.pem"), { recursive: true });
    const ran = await smime("import", await file("x.pem", bea.pem));
    expect(ran).toMatchObject({ code: 78, out: "" });
    expect(ran.error).toMatch(/cannot be written \(EISDIR\)/);
    expect(await readdir(partners())).toEqual(["bea@acme.example.pem"]);
  });

  it("tells the gateway that runs", async () => {
    const events: string[] = [];
    const started = await cliDeps(folder).startGateway({
      configFile: configFile(),
      write: (line) => void events.push((JSON.parse(line) as { event: string }).event),
    });
    if (!started.ok) throw new Error(started.lines.join("\n"));
    gateway = started.gateway;
    const ran = await smime("import", await file("x.pem", bea.pem));
    expect(ran.error).toContain("The running gateway encrypts with what was imported from now on.");
    expect(events).toContain("config.reloaded");
  });
});

describe("smime list", () => {
  it("shows our own, those of partners and harvested ones, with what is wrong", async () => {
    const ended = certificate("cem@acme.example", { notAfter: new Date(Date.now() - DAY_MS) });
    const anna = certificate("anna@example.org", { usage: [USAGE.digitalSignature], keyType: "rsa" });
    const known = (held: typeof bea, addresses: string[]) => ({
      certificate: held.pem + ca.pem,
      addresses,
      domains: [],
      file: join(folder, "x.pem"),
    });
    const signer = { certificate: anna.pem, chain: [ca.pem], key: anna.keyPem };
    const own = { outbound: outbound(), dkim: [] };
    const base = settings({
      ownDomains: [
        { ...own, domain: "example.org", smime: [{ ...signer, address: "anna@example.org" }, signer] },
        { ...own, domain: "example.com", smime: [signer] },
      ],
    });
    const loaded = {
      ...base,
      smime: {
        ...base.smime,
        recipients: [known(bea, ["bea@acme.example"]), known(ended, ["cem@acme.example"])],
        harvested: [known(bea, ["bea@acme.example"])],
      },
    };
    const over = { loadConfig: () => Promise.resolve({ ok: true as const, settings: loaded, warnings: [] }) };
    const { code, out } = await run(folder, ["smime", "list"], over);
    expect(code).toBe(0);
    expect(out).toMatch(/^Our own: they sign\n {2}good {2}anna@example\.org, @example\.org, @example\.com\n/);
    expect(out).toMatch(/rsa 2048, until \d{4}-\d\d-\d\d\n/);
    expect(out).toMatch(
      /\nPartners: [^\n]*\n {2}good {2}bea@acme\.example\n[^]*\n {2}bad {3}cem@acme\.example\n[^]*It ended on /,
    );
    expect(out).toMatch(/\nTaken from mail[^\n]*\n {2}good {2}bea@acme\.example\n/);
    const objects = lines((await run(folder, ["smime", "list", "--json"], over)).out);
    expect(objects.map(({ kind, usableFor }) => [kind, usableFor])).toEqual([
      ["own", ["sign"]],
      ["partner", ["encrypt"]],
      ["partner", []],
      ["harvested", ["encrypt"]],
    ]);
    expect(objects[2]).toMatchObject({
      subject: "CN=cem@acme.example",
      issuer: "CN=Mail CA",
      keyType: "ec prime256v1",
    });
  });

  it("says where there is none", async () => {
    expect(await smime("list")).toMatchObject({
      code: 0,
      out: expect.stringContaining("No S/MIME certificate") as string,
    });
    expect(await smime("list", "--json")).toMatchObject({ code: 0, out: "" });
  });

  it("ends with 78 when the configuration is wrong", async () => {
    await configure("no_such_key: 1");
    expect(await smime("list")).toMatchObject({ code: 78, out: "" });
  });
});

describe("smime request", () => {
  const at = (...path: string[]) => join(folder, "certs", "smime", ...path);

  /** What is signed, by its own key [RFC 2986 §4]. */
  function requested(pem: string): { info: Element; subject: string; extensions: string } {
    const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64");
    const [info, , signature] = inside(der) ?? [];
    const [, name, spki, attributes] = inside(info?.whole) ?? [];
    if (info === undefined || name === undefined || spki === undefined || attributes === undefined)
      throw new Error("no certification request");
    const key = createPublicKey({ key: spki.whole, format: "der", type: "spki" });
    expect(verify("sha256", info.whole, key, signature?.content.subarray(1) ?? Buffer.of())).toBe(true);
    return { info, subject: name.content.toString("latin1"), extensions: attributes.content.toString("latin1") };
  }

  it.each(["rsa", "ec"])(
    "makes an %s key for its owner alone, and prints a request signed with it",
    async (algorithm) => {
      const ran = await smime("request", "Anna@example.org", "--algorithm", algorithm);
      expect(ran.code).toBe(0);
      expect(ran.out).toBe(await readFile(at("anna@example.org.csr"), "utf8"));
      const { subject, extensions } = requested(ran.out);
      expect(subject).toContain("anna@example.org");
      expect(extensions).toContain("anna@example.org"); // rfc822Name
      expect(extensions).toContain(oidOctets(EMAIL_PROTECTION).toString("latin1"));
      expect((await stat(at("anna@example.org.key"))).mode & 0o777).toBe(0o600);
      const key = await readFile(at("anna@example.org.key"), "utf8");
      expect(createPublicKey(key).asymmetricKeyType).toBe(algorithm);
      expect(ran.out + ran.error).not.toContain(key.split("\n")[2]);
      expect(ran.error).toMatch(
        /cat certs\/smime\/anna@example\.org\.key CERTIFICATE\.pem INTERMEDIATES\.pem > certs\/smime\/anna@example\.org\.pem/,
      );
    },
  );

  it("asks for the whole domain in the names that RFC 3183 has for it", async () => {
    const ran = await smime("request", "@Example.org", "--algorithm", "ec", "--json");
    const [answer = {}] = lines(ran.out);
    expect(answer).toMatchObject({
      for: "@example.org",
      key: at("_gateway.key"),
      request: at("_gateway.csr"),
      install: at("_gateway.pem"),
    });
    const { extensions } = requested(String(answer["pem"]));
    expect(extensions).toContain("domain-confidentiality-authority@example.org");
    expect(extensions).toContain("domain-signing-authority@example.org");
  });

  it("puts the files where the domain's keys are", async () => {
    await configure("domains:\n  - {domain: [example.com, Example.org], smime: {directory: ../keys}}");
    await smime("request", "anna@example.org", "--algorithm", "ec");
    expect(await readdir(join(folder, "keys"))).toEqual(["anna@example.org.csr", "anna@example.org.key"]);
  });

  it("names the place where the gateway looks, wherever key and request were put", async () => {
    const ran = await smime("request", "anna@example.org", "--algorithm", "ec", "--out", "usb");
    expect(await readdir(join(folder, "usb"))).toEqual(["anna@example.org.csr", "anna@example.org.key"]);
    expect(ran.error).toContain("cat usb/anna@example.org.key CERTIFICATE.pem");
    expect(ran.error).toContain("> certs/smime/anna@example.org.pem &&");
  });

  it("makes a certificate for tests that signs itself, and can be imported", async () => {
    const ran = await smime("request", "anna@example.org", "--self-signed");
    expect(ran.code).toBe(0);
    expect(await readdir(at())).toEqual(["anna@example.org.pem"]);
    expect((await stat(at("anna@example.org.pem"))).mode & 0o777).toBe(0o600);
    const own = new X509Certificate(ran.out);
    expect(own.verify(own.publicKey)).toBe(true);
    expect(own.subjectAltName).toBe("email:anna@example.org");
    expect(own.ca).toBe(false);
    const imported = await smime("import", await file("theirs.pem", ran.out), "--json");
    expect(lines(imported.out)).toMatchObject([{ ok: true, for: ["anna@example.org"], sha256: own.fingerprint256 }]);
  });

  it("never overwrites a key, and then makes nothing", async () => {
    await smime("request", "anna@example.org", "--algorithm", "ec");
    const before = await readFile(at("anna@example.org.key"), "utf8");
    await rm(at("anna@example.org.csr"));
    const ran = await smime("request", "anna@example.org", "--algorithm", "ec");
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.error).toContain("anna@example.org.key is there already");
    expect(await readFile(at("anna@example.org.key"), "utf8")).toBe(before);
    expect(await readdir(at())).toEqual(["anna@example.org.key"]);
  });

  it("says so where it cannot write", async () => {
    await file("file", "");
    const ran = await smime("request", "anna@example.org", "--algorithm", "ec", "--out", "file");
    expect(ran).toMatchObject({ code: 78, out: "" });
    expect(ran.error).toMatch(/cannot be written \((?:ENOTDIR|EEXIST)\)/);
  });
});
