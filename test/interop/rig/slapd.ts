/** A private OpenLDAP server: one tree with a few people, in the clear with STARTTLS and as ldaps. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Credential } from "./certificates.ts";
import { freePort, listening, must } from "./processes.ts";
import type { Workbench } from "./workbench.ts";

export interface Slapd {
  readonly base: string;
  readonly ldap: string;
  /** By `localhost`. */
  readonly ldaps: string;
  /** May read; nobody else may. */
  readonly reader: { readonly dn: string; readonly password: string };
  readonly stop: () => Promise<void>;
}

export interface Someone {
  readonly name: string;
  readonly mail: readonly string[];
  /** Attribute description → values. */
  readonly values?: Readonly<Record<string, readonly Buffer[]>>;
}

const BASE = "dc=acme,dc=test";
const ADMIN = { dn: `cn=admin,${BASE}`, password: "admin-secret" };
const READER = { dn: `cn=gateway,${BASE}`, password: "reader-secret" };

export async function startSlapd(bench: Workbench, own: Credential & { readonly ca: string }): Promise<Slapd> {
  const folder = await bench.folder("slapd");
  const [plain, secure] = [await freePort(), await freePort()];
  await mkdir(join(folder, "data"));
  const file = join(folder, "slapd.conf");
  await writeFile(file, configuration(folder, own));
  const urls = [`ldap://127.0.0.1:${plain}`, `ldaps://127.0.0.1:${secure}`];
  const child = spawn("slapd", ["-f", file, "-h", urls.join(" "), "-d", "0"], { stdio: "ignore" });
  const ended = once(child, "exit");
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await ended;
  };
  bench.atEnd(stop);
  await listening("127.0.0.1", plain);
  await listening("127.0.0.1", secure);
  const ldap = `ldap://127.0.0.1:${plain}`;
  await add(ldap, tree());
  return { base: BASE, ldap, ldaps: `ldaps://localhost:${secure}`, reader: READER, stop };
}

export async function addPeople({ ldap }: Slapd, people: readonly Someone[]): Promise<void> {
  const entries = people.map(({ name, mail, values = {} }) =>
    [
      `dn: cn=${name},${BASE}`,
      "objectClass: inetOrgPerson",
      `cn: ${name}`,
      `sn: ${name}`,
      ...mail.map((one) => `mail: ${one}`),
      ...Object.entries(values).flatMap(([key, all]) => all.map((one) => `${key}:: ${one.toString("base64")}`)),
    ].join("\n"),
  );
  await add(ldap, entries.join("\n\n"));
}

async function add(url: string, ldif: string): Promise<void> {
  await must("ldapadd", ["-x", "-H", url, "-D", ADMIN.dn, "-w", ADMIN.password], { input: Buffer.from(`${ldif}\n`) });
}

function configuration(folder: string, own: Credential & { readonly ca: string }): string {
  return [
    ...["core", "cosine", "inetorgperson"].map((one) => `include /etc/ldap/schema/${one}.schema`),
    "modulepath /usr/lib/ldap",
    "moduleload back_mdb",
    `pidfile ${folder}/slapd.pid`,
    `TLSCertificateFile ${own.certificate}`,
    `TLSCertificateKeyFile ${own.key}`,
    `TLSCACertificateFile ${own.ca}`,
    "database mdb",
    `suffix "${BASE}"`,
    `directory ${folder}/data`,
    `rootdn "${ADMIN.dn}"`,
    `rootpw ${ADMIN.password}`,
    `access to attrs=userPassword by anonymous auth`,
    `access to * by dn.exact="${READER.dn}" read by anonymous auth`,
    "",
  ].join("\n");
}

function tree(): string {
  return [
    `dn: ${BASE}`,
    "objectClass: dcObject",
    "objectClass: organization",
    "dc: acme",
    "o: Acme",
    "",
    `dn: ${READER.dn}`,
    "objectClass: organizationalRole",
    "objectClass: simpleSecurityObject",
    "cn: gateway",
    `userPassword: ${READER.password}`,
  ].join("\n");
}
