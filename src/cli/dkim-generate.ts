/**
 * `sealpost dkim generate DOMAIN`: new DKIM keys in files of their own, the records to be published for them, and the
 * lines for sealpost.yaml. Needs no configuration, and changes none: a key must not sign before its record is there.
 */
import { generateKeyPair } from "node:crypto";
import { dirname, relative, resolve } from "node:path";
import { promisify } from "node:util";
import { parseDomainName } from "../mail/domain-name.ts";
import type { DkimAlgorithm, DkimKeySettings } from "../mail/treatment.ts";
import { dkimRecord, zoneLine } from "../transform/dkim/record.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { makeFiles } from "./new-files.ts";
import { shownPath } from "./settings.ts";
import { count, painter } from "./text.ts";

export interface DkimGenerateOptions {
  readonly domain: string;
  readonly selector?: string;
  readonly algorithm: string;
  /** As it was written; of an RSA key. */
  readonly bits: string;
  readonly out?: string;
}

const ALGORITHMS: Readonly<Record<string, readonly DkimAlgorithm[]>> = {
  rsa: ["rsa-sha256"],
  ed25519: ["ed25519-sha256"],
  both: ["rsa-sha256", "ed25519-sha256"],
};
/** RFC 8301 §3.2: less than 1024 is void, and 2048 is what signers should use. */
const BITS = ["2048", "3072", "4096"];

export async function dkimGenerate(deps: CliDeps, common: Common, options: DkimGenerateOptions): Promise<ExitCode> {
  const wish = wishOf(deps, options);
  if (typeof wish === "string") return refuse(deps, EXIT.usage, [wish]);
  const folder =
    options.out === undefined
      ? resolve(dirname(resolve(deps.cwd, common.config)), "../certs/dkim")
      : resolve(deps.cwd, options.out);
  const keys = await Promise.all(wish.selectors.map((one) => newKey(wish, one)));
  const files = keys.map((key) => ({
    path: resolve(folder, `${key.domain}.${key.selector}.pem`),
    content: key.key,
    secret: true,
  }));
  const made = await makeFiles(files);
  if (!made.ok) {
    const path = shownPath(deps, made.path);
    return made.why === "exists"
      ? refuse(deps, EXIT.no, [`${path} is there already, and stays as it is. Give another --selector, or --out.`])
      : refuse(deps, EXIT.configuration, [`${path} cannot be written (${made.code}).`]);
  }
  const written = keys.map((key, at) => ({ key, file: files[at]?.path ?? "" }));
  if (common.json) for (const one of written) printJson(deps, asJson(deps, common, one));
  else print(deps, common, written);
  return EXIT.good;
}

interface Wish {
  readonly domain: string;
  readonly selectors: readonly { readonly selector: string; readonly algorithm: DkimAlgorithm }[];
  readonly bits: number;
}

/** What is wished for, or what is wrong with it. */
function wishOf({ clock }: CliDeps, options: DkimGenerateOptions): Wish | string {
  const domain = parseDomainName(options.domain);
  if (domain === undefined) return `${JSON.stringify(options.domain)} is no domain. Write one, as example.org.`;
  const algorithms = ALGORITHMS[options.algorithm];
  if (algorithms === undefined)
    return `--algorithm ${JSON.stringify(options.algorithm)} is not known. Write rsa, ed25519 or both.`;
  if (!BITS.includes(options.bits)) return `--bits is ${BITS.join(", ")}; receivers count less for nothing.`;
  const { selector } = options;
  if (selector !== undefined && !isSelector(selector))
    return `--selector ${JSON.stringify(selector)} cannot be looked up. Write letters, digits and hyphens, as s2026a.`;
  const month = new Date(clock.now()).toISOString().slice(0, 7).replace("-", "");
  const stem = selector ?? `s${month}`;
  // Two keys need two names; one alone keeps the name that was given.
  const isPlain = selector !== undefined && algorithms.length === 1;
  const selectors = algorithms.map((algorithm) => ({
    selector: isPlain ? stem.toLowerCase() : `${stem.toLowerCase()}${algorithm === "rsa-sha256" ? "r" : "e"}`,
    algorithm,
  }));
  return { domain, selectors, bits: Number(options.bits) };
}

/** RFC 6376 §3.1: `sub-domain *("." sub-domain)`. */
function isSelector(text: string): boolean {
  return text.length <= 120 && text.split(".").every((label) => /^[a-z0-9](?:[a-z0-9-]{0,60}[a-z0-9])?$/i.test(label));
}

const rsa = promisify(generateKeyPair);

async function newKey(
  { domain, bits }: Wish,
  { selector, algorithm }: Wish["selectors"][number],
): Promise<DkimKeySettings> {
  const { privateKey } =
    algorithm === "rsa-sha256" ? await rsa("rsa", { modulusLength: bits }) : await rsa("ed25519", {});
  return { domain, selector, algorithm, key: privateKey.export({ type: "pkcs8", format: "pem" }) as string };
}

interface Written {
  readonly key: DkimKeySettings;
  readonly file: string;
}

function asJson(deps: CliDeps, common: Common, { key, file }: Written): object {
  const { domain, selector, algorithm } = key;
  const record = dkimRecord(key);
  return {
    domain,
    selector,
    algorithm,
    file,
    ...record,
    zone: zoneLine(record),
    yaml: entryOf(deps, common, { key, file }),
  };
}

/** One entry of `dkim:`; its path is relative to the configuration file, as paths in it are. */
function entryOf(deps: CliDeps, { config }: Common, { key, file }: Written): string {
  const path = relative(dirname(resolve(deps.cwd, config)), file);
  return `{selector: ${key.selector}, key: ${/^[\w./-]+$/.test(path) ? path : JSON.stringify(path)}}`;
}

function print(deps: CliDeps, common: Common, written: readonly Written[]): void {
  const paint = painter(deps.stdout, deps.env);
  const domain = written[0]?.key.domain ?? "";
  for (const { key, file } of written) {
    deps.stdout.write(`${paint("dim", `; ${key.algorithm}, key in ${shownPath(deps, file)}`)}\n`);
    deps.stdout.write(`${zoneLine(dkimRecord(key))}\n`);
  }
  const entries = written.map((one) => `      - ${entryOf(deps, common, one)}\n`).join("");
  const head = paint("dim", "# in sealpost.yaml, once DNS has them:");
  deps.stdout.write(`\n${head}\ndomains:\n  - domain: ${domain}\n    dkim:\n${entries}`);
  const advise = painter(deps.stderr, deps.env);
  const records = written.length === 1 ? "the record" : count(written.length, "record");
  for (const line of [
    `Publish ${records} first: a signature whose key nobody finds counts as broken.`,
    `sealpost dkim show ${domain} tells when DNS has what the configured keys need; sealpost reload makes them sign.`,
  ])
    deps.stderr.write(`${advise("dim", line)}\n`);
}
