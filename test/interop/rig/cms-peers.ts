/**
 * Programs of others that read CMS objects and S/MIME messages: OpenSSL, NSS (as in Thunderbird) and BouncyCastle. Each
 * is given files and its own stores; none is told what we think of them.
 */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Held } from "../../peers/mail-authority.ts";
import { must, run } from "./processes.ts";
import type { Workbench } from "./workbench.ts";

/** `no` with the peer's own words; else the SHA-256 of what it read. */
export interface Reading {
  readonly sha256: string | undefined;
  readonly told: string;
}

export interface SignedObject {
  readonly cms: Buffer;
  /** Absent: it is within. */
  readonly content?: Buffer;
}

/** `name`: who reads it. NSS has all keys at hand and looks for itself. */
export interface EncryptedObject {
  readonly cms: Buffer;
  readonly name: string;
}

export interface CmsPeers {
  /** Whose certificates and keys NSS and OpenSSL have, by name; password of the files `x`. */
  readonly openssl: Peer & {
    /** A whole S/MIME message: what was signed in it. */
    readonly verifyMessage: (message: Buffer) => Promise<Reading>;
    readonly decryptMessage: (message: Buffer, name: string) => Promise<Buffer | string>;
  };
  readonly nss: Peer;
  readonly bouncyCastle: Peer;
  /** PKCS#12 of one of them. `options`: of `openssl pkcs12 -export`. */
  readonly pkcs12: (name: string, options?: readonly string[]) => Promise<Buffer>;
  /** The same as NSS writes it. */
  readonly pkcs12OfNss: (name: string) => Promise<Buffer>;
  /** A new key of Java's keytool, in its own form of PKCS#12; password `xxxxxx`. */
  readonly pkcs12OfJava: (algorithm: readonly string[]) => Promise<Buffer>;
}

export interface Peer {
  /** Signature, certificate and its chain to the root. */
  readonly verify: (signed: readonly SignedObject[]) => Promise<Reading[]>;
  readonly decrypt: (encrypted: readonly EncryptedObject[]) => Promise<Reading[]>;
}

const JARS = ["bcmail", "bcpkix", "bcprov", "bcutil"].map((name) => `/usr/share/java/${name}.jar`).join(":");

export async function cmsPeers(
  bench: Workbench,
  root: Held,
  people: Readonly<Record<string, Held>>,
): Promise<CmsPeers> {
  const folder = await bench.folder("cms");
  const at = (name: string): string => join(folder, name);
  const database = ["-d", `sql:${at("nss")}`];
  let count = 0;
  const put = async (content: Buffer): Promise<string> => {
    const file = at(`${(count += 1)}.bin`);
    await writeFile(file, content);
    return file;
  };
  const pkcs12 = async (name: string, options: readonly string[] = []): Promise<Buffer> => {
    const out = at(`${(count += 1)}.p12`);
    const from = ["-inkey", at(`${name}.key`), "-in", at(`${name}.crt`), "-certfile", at("root.crt"), "-name", name];
    await must("openssl", ["pkcs12", "-export", ...from, "-passout", "pass:x", ...options, "-out", out]);
    return readFile(out);
  };

  await writeFile(at("root.crt"), root.pem);
  await must("mkdir", [at("nss")]);
  await must("certutil", ["-N", ...database, "--empty-password"]);
  await must("certutil", ["-A", ...database, "-n", "root", "-t", "C,C,C", "-i", at("root.crt")]);
  for (const [name, { pem, keyPem, key }] of Object.entries(people)) {
    await writeFile(at(`${name}.crt`), pem);
    await writeFile(at(`${name}.key`), keyPem);
    await writeFile(at(`${name}.der`), key.export({ type: "pkcs8", format: "der" }));
    // NSS knows fewer curves; what it cannot take it cannot read.
    await run("pk12util", ["-i", await put(await pkcs12(name)), ...database, "-W", "x"]);
  }

  const readOut = async (program: string, args: readonly string[], out: string): Promise<Reading> => {
    const { code, stderr } = await run(program, args);
    if (code !== 0) return { sha256: undefined, told: stderr.trim() };
    return { sha256: sha256(await readFile(out)), told: stderr.trim() };
  };
  const each = async <T>(of: readonly T[], read: (one: T) => Promise<Reading>): Promise<Reading[]> => {
    const readings: Reading[] = [];
    for (const one of of) readings.push(await read(one));
    return readings;
  };
  const fresh = (): string => at(`${(count += 1)}.out`);
  const holder = (name: string): readonly string[] => ["-recip", at(`${name}.crt`), "-inkey", at(`${name}.key`)];

  return {
    pkcs12,
    openssl: {
      verify: (signed) =>
        each(signed, async ({ cms, content }) => {
          const out = fresh();
          const beside = content === undefined ? [] : ["-content", await put(content)];
          const args = ["-inform", "der", "-in", await put(cms), ...beside, "-CAfile", at("root.crt"), "-binary"];
          return readOut("openssl", ["cms", "-verify", ...args, "-out", out], out);
        }),
      decrypt: (objects) =>
        each(objects, async ({ cms, name }) => {
          const out = fresh();
          const args = ["-inform", "der", "-in", await put(cms), ...holder(name), "-out", out];
          return readOut("openssl", ["cms", "-decrypt", "-binary", ...args], out);
        }),
      // Not as -binary: that reads the parts of a message that has CRLF, as it must, another way than it was signed.
      verifyMessage: async (message) => {
        const out = fresh();
        const args = ["-in", await put(message), "-CAfile", at("root.crt"), "-out", out];
        return readOut("openssl", ["cms", "-verify", ...args], out);
      },
      decryptMessage: async (message, name) => {
        const out = fresh();
        const args = ["-in", await put(message), ...holder(name), "-out", out];
        const reading = await readOut("openssl", ["cms", "-decrypt", "-binary", ...args], out);
        return reading.sha256 === undefined ? reading.told : readFile(out);
      },
    },
    nss: {
      verify: (signed) =>
        each(signed, async ({ cms, content }) => {
          const out = fresh();
          const beside = content === undefined ? [] : ["-c", await put(content)];
          const reading = await readOut(
            "cmsutil",
            ["-D", ...database, "-i", await put(cms), ...beside, "-o", out],
            out,
          );
          // Of a detached signature it writes nothing out.
          return content !== undefined && reading.sha256 !== undefined
            ? { ...reading, sha256: sha256(content) }
            : reading;
        }),
      decrypt: (objects) =>
        each(objects, async ({ cms }) => {
          const out = fresh();
          return readOut("cmsutil", ["-D", ...database, "-i", await put(cms), "-o", out], out);
        }),
    },
    bouncyCastle: {
      verify: async (signed) => {
        const questions: string[] = [];
        for (const { cms, content } of signed)
          questions.push(
            ["verify", await put(cms), content === undefined ? "" : await put(content), at("root.crt")].join("\t"),
          );
        return ask(questions);
      },
      decrypt: async (objects) => {
        const questions: string[] = [];
        for (const { cms, name } of objects)
          questions.push(["decrypt", await put(cms), at(`${name}.crt`), at(`${name}.der`)].join("\t"));
        return ask(questions);
      },
    },
    pkcs12OfNss: async (name) => {
      const out = fresh();
      await must("pk12util", ["-o", out, ...database, "-n", name, "-W", "x"]);
      return readFile(out);
    },
    pkcs12OfJava: async (algorithm) => {
      const out = fresh();
      const store = ["-keystore", out, "-storetype", "PKCS12", "-storepass", "xxxxxx"];
      await must("keytool", ["-genkeypair", "-alias", "anna", "-dname", "CN=Anna", ...algorithm, ...store]);
      return readFile(out);
    },
  };
}

async function ask(questions: readonly string[]): Promise<Reading[]> {
  const input = Buffer.from(questions.map((line) => `${line}\n`).join(""));
  const told = await must("java", ["-cp", JARS, join(import.meta.dirname, "CmsPeer.java")], { input });
  const answers = told.trim().split("\n");
  if (answers.length !== questions.length) throw new Error(`BouncyCastle answered ${told}`);
  return answers.map((line) => ({ sha256: /^ok ([0-9a-f]{64})/.exec(line)?.[1], told: line }));
}

export function sha256(octets: Buffer): string {
  return createHash("sha256").update(octets).digest("hex");
}
