/** Certificates from a real directory, over TLS that is proven; and revocation by OpenSSL's own responder. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createAskDirectory } from "../../src/connect/ldap-certificates.ts";
import { createLdapSearch } from "../../src/connect/ldap-search.ts";
import { type Mailbox, parseMailbox } from "../../src/mail/mailbox.ts";
import type { LdapCertificateSettings } from "../../src/mail/smime-settings.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { createMailAuthority } from "../peers/mail-authority.ts";
import { createAuthority } from "./rig/certificates.ts";
import { must } from "./rig/processes.ts";
import { addPeople, type Slapd, startSlapd } from "./rig/slapd.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
const issuer = createMailAuthority("Acme CA", { keyType: "rsa" });
const anna = issuer.issue({ commonName: "Anna", emails: ["anna@acme.test"], keyType: "rsa" });
const bob = issuer.issue({ commonName: "Bob", emails: ["bob@acme.test"] });
const box = (text: string): Mailbox => parseMailbox(text) as Mailbox;
let slapd: Slapd;
let ca: string;
let strangers: string;

beforeAll(async () => {
  const folder = await bench.folder("ldap-certificates");
  const authority = await createAuthority(folder, "Directory CA");
  const own = await authority.issue(["localhost"]);
  slapd = await startSlapd(bench, { ...own, ca: authority.certificate });
  ca = await readFile(authority.certificate, "utf8");
  strangers = createMailAuthority("Directory CA").pem;
  const bundle = join(folder, "bob.pem");
  await writeFile(bundle, bob.pem + issuer.pem);
  await must("openssl", ["crl2pkcs7", "-nocrl", "-certfile", bundle, "-outform", "DER", "-out", `${bundle}.p7`]);
  await addPeople(slapd, [
    { name: "Anna", mail: ["Anna@acme.test"], values: { "userCertificate;binary": [anna.der] } },
    {
      name: "Bob",
      mail: ["bob@acme.test"],
      values: { userSMIMECertificate: [await readFile(`${bundle}.p7`)] },
    },
    { name: "Carl", mail: ["carl@acme.test"] },
  ]);
});
afterAll(() => bench.clear());

const settings = (over: Partial<LdapCertificateSettings> = {}): LdapCertificateSettings => ({
  url: slapd.ldaps,
  startTls: false,
  base: slapd.base,
  filter: "(mail={address})",
  attributes: ["userCertificate;binary", "userSMIMECertificate;binary"],
  bind: slapd.reader,
  ca: [ca],
  cacheMs: 0,
  timeoutMs: 5_000,
  ...over,
});
const ask = createAskDirectory({ clock: systemClock, search: createLdapSearch({ clock: systemClock }) });

describe("OpenLDAP", () => {
  it.each([
    ["a certificate, by ldaps", "anna@acme.test", {}, [anna.der]],
    ["a certificate, by STARTTLS", "anna@acme.test", { startTls: true }, [anna.der]],
    ["a certificate and its issuer's in signed data", "bob@acme.test", {}, [bob.der, issuer.der]],
    ["nothing for a person without one", "carl@acme.test", {}, []],
    ["nothing for nobody", "dora@acme.test", {}, []],
    ["nothing for a star", "*@acme.test", {}, []],
    ["nothing for what would end the filter", '"*)(mail=*"@acme.test', {}, []],
  ])("gives %s", async (_, address, over, certificates) => {
    const url = "startTls" in over ? { url: slapd.ldap.replace("127.0.0.1", "localhost") } : {};
    expect(await ask(settings({ ...over, ...url }), box(address))).toEqual({ kind: "found", certificates });
  });

  it.each([
    ["with a certificate of a stranger, before a password crosses", () => ({ ca: [strangers] }), "no connection"],
    ["with a certificate for another name", () => ({ url: slapd.ldaps.replace("localhost", "127.0.0.1") }), "ALTNAME"],
    [
      "with a certificate of a stranger after STARTTLS",
      () => ({ ca: [strangers], url: slapd.ldap, startTls: true }),
      "no connection",
    ],
    ["with a wrong password", () => ({ bind: { ...slapd.reader, password: "wrong" } }), "(49)"],
    ["with a wrong base", () => ({ base: "dc=other,dc=test" }), "(32)"],
  ])("is not believed %s", async (_, over, words) => {
    const answer = await ask(settings(over()), box("anna@acme.test"));
    expect(answer).toEqual({ kind: "failed", detail: expect.stringContaining(words) });
  });
});
