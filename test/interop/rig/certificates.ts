/**
 * Certificates as the openssl command makes them: a private CA and what it issues, good and bad in chosen ways.
 * Everything lives in files of the test's folder.
 */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { must } from "./processes.ts";

export type KeyType = "rsa" | "ec" | "ed25519";

/** Paths of two PEM files. */
export interface Credential {
  readonly certificate: string;
  readonly key: string;
}

export interface Authority extends Credential {
  readonly issue: (
    names: readonly string[],
    wish?: { key?: KeyType; expired?: boolean; client?: boolean },
  ) => Promise<Credential>;
  readonly revocationList: (revoked: readonly Credential[]) => Promise<string>;
}

/** Arguments without blanks in them. */
const words = (text: string): string[] => text.split(" ");

const KEY_ARGUMENTS: Readonly<Record<KeyType, readonly string[]>> = {
  rsa: ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
  ec: ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
  ed25519: ["-algorithm", "ED25519"],
};

export async function createAuthority(folder: string, name = "Test CA"): Promise<Authority> {
  await mkdir(join(folder, "issued"), { recursive: true });
  const own = { certificate: join(folder, "ca.crt"), key: await makeKey(join(folder, "ca.key"), "ec") };
  await must("openssl", [
    ...words(`req -x509 -new -key ${own.key} -out ${own.certificate} -days 30`),
    ...words("-addext keyUsage=critical,keyCertSign,cRLSign -subj"),
    `/CN=${name}`,
  ]);
  const config = await configFile(folder, own);
  let count = 0;
  return {
    ...own,
    issue: async (names, wish = {}) => {
      const base = join(folder, `leaf-${(count += 1)}`);
      const key = await makeKey(`${base}.key`, wish.key ?? "ec");
      const request = `${base}.csr`;
      await must("openssl", ["req", "-new", "-key", key, "-out", request, "-subj", `/CN=${names[0] ?? "nobody"}`]);
      const extensions = `${base}.ext`;
      const purpose = wish.client === true ? "clientAuth" : "serverAuth";
      const alternatives = names.map((each) => `DNS:${each}`).join(",");
      await writeFile(
        extensions,
        `basicConstraints=critical,CA:false\nextendedKeyUsage=${purpose}\nsubjectAltName=${alternatives}\n`,
      );
      const [from, to] = wish.expired === true ? [-20, -10] : [-1, 20];
      const certificate = `${base}.crt`;
      await must("openssl", [
        ...words(`ca -batch -notext -config ${config} -in ${request} -out ${certificate} -extfile ${extensions}`),
        ...words(`-startdate ${dateIn(from)} -enddate ${dateIn(to)}`),
      ]);
      return { certificate, key };
    },
    revocationList: async (revoked) => {
      for (const one of revoked) await must("openssl", ["ca", "-config", config, "-revoke", one.certificate]);
      const list = join(folder, `revoked-${(count += 1)}.crl`);
      await must("openssl", ["ca", "-gencrl", "-config", config, "-crldays", "10", "-out", list]);
      return list;
    },
  };
}

export async function selfSigned(folder: string, name: string, type: KeyType = "ec"): Promise<Credential> {
  const key = await makeKey(join(folder, `self-${name}.key`), type);
  const certificate = join(folder, `self-${name}.crt`);
  await must("openssl", [
    ...words(`req -x509 -new -key ${key} -out ${certificate} -days 30`),
    ...words(`-subj /CN=${name} -addext subjectAltName=DNS:${name}`),
  ]);
  return { certificate, key };
}

/** SHA-256 of the certificate, as a pin is written. */
export function fingerprintOf(credential: Credential): string {
  return new X509Certificate(readFileSync(credential.certificate)).fingerprint256;
}

async function makeKey(file: string, type: KeyType): Promise<string> {
  await must("openssl", ["genpkey", ...KEY_ARGUMENTS[type], "-out", file]);
  await chmod(file, 0o600);
  return file;
}

/** `openssl ca`, since of openssl's commands it alone sets dates in the past. */
async function configFile(folder: string, own: Credential): Promise<string> {
  const config = join(folder, "ca.cnf");
  await writeFile(join(folder, "index.txt"), "");
  await writeFile(
    config,
    [
      "[ca]\ndefault_ca=own",
      `[own]\nnew_certs_dir=${folder}/issued\ndatabase=${folder}/index.txt\nserial=${folder}/serial\nrand_serial=yes`,
      `certificate=${own.certificate}\nprivate_key=${own.key}\ndefault_md=default\npolicy=any\nunique_subject=no`,
      "[any]\ncommonName=supplied\n",
    ].join("\n"),
  );
  return config;
}

function dateIn(days: number): string {
  const instant = new Date(Date.now() + days * 86_400_000).toISOString();
  return `${instant.slice(0, 19).replaceAll(/[-:T]/g, "")}Z`;
}
