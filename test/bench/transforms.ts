/**
 * What each transform costs a message, beside the cryptography in it; then peak memory for 20 bodies of 50 MiB at once
 * and the longest block of the event loop. `npm run bench:transforms [words of the rows wanted]`; no network, no disk.
 */
import { createCipheriv, createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { cpus, loadavg } from "node:os";
import { createBodyHash } from "../../src/transform/dkim/body-hash.ts";
import { signHeader } from "../../src/transform/dkim/sign.ts";
import { receivedField } from "../../src/transform/received.ts";
import { cms } from "../../src/transform/smime/cms.ts";
import type { EnvelopeRecipient } from "../../src/transform/smime/enveloped-data.ts";
import type { Signer } from "../../src/transform/smime/signed-data.ts";
import { wrap, type WrapPlan } from "../../src/transform/smime/wrap.ts";
import { editHeader } from "../../src/transform/strip-topology.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { longestBlock, peakMemory } from "./transform-load.ts";
import {
  attachmentBody,
  chunksOf,
  drain,
  ecReader,
  ecSigner,
  HEADER,
  keyring,
  messageIds,
  NOW,
  PLAIN,
  rsaReader,
  rsaSigner,
  SECRET,
  STRIP,
  TEXT_HEADER,
  textBody,
  treatWhole,
} from "./transform-rig.ts";

const RUNS = 7;
const KIB = 1024;
const SIZES = [
  { name: "4 KiB", octets: 4 * KIB, rounds: 200 },
  { name: "50 KiB", octets: 50 * KIB, rounds: 100 },
  { name: "5 MiB", octets: 5 * KIB * KIB, rounds: 4 },
];

type Work = (body: Buffer) => Promise<unknown>;

interface Row {
  readonly name: string;
  readonly work: Work;
  /** Default: a text and a file in base64. */
  readonly bodyOf?: (octets: number) => Buffer;
}

const { privateKey: rsaKey } = rsaSigner;
const { privateKey: ecKey } = ecSigner;
const edKey = generateKeyPairSync("ed25519").privateKey;
const dkimKeys = keyring.dkim.get("own.test") ?? [];
const received = receivedField({
  client: { address: "10.1.2.3", port: 2_525, helo: "mail2.corp.own.test", via: "network" },
  hostname: "relay.own.test",
  queueId: "0".repeat(32),
  at: NOW,
  smtpUtf8: false,
  received: "strip",
  hops: 2,
});

function signInPool(key: KeyObject): Promise<Buffer> {
  const hash = key === edKey ? null : "sha256";
  return new Promise((resolve, reject) =>
    sign(hash, HEADER, key, (error, made) => (error === null ? resolve(made) : reject(error))),
  );
}

function aes(mode: "cbc" | "gcm"): Work {
  return async (body) => {
    const cipher =
      mode === "cbc"
        ? createCipheriv("aes-256-cbc", Buffer.alloc(32), Buffer.alloc(16))
        : createCipheriv("aes-256-gcm", Buffer.alloc(32), Buffer.alloc(12));
    for await (const chunk of chunksOf(body)) cipher.update(chunk);
    cipher.final();
  };
}

async function sha256(body: Buffer): Promise<Buffer> {
  const hash = createHash("sha256");
  for await (const chunk of chunksOf(body)) hash.update(chunk);
  return hash.digest();
}

function dkim(...algorithms: readonly string[]): Work {
  const keys = dkimKeys.filter(({ algorithm }) => algorithms.includes(algorithm));
  return async (body) => {
    const hash = createBodyHash();
    for await (const chunk of chunksOf(body)) hash.update(chunk);
    return signHeader(HEADER, hash.digest(), keys, { now: NOW, expiresAt: NOW + 1_000_000 });
  };
}

function smime(plan: Partial<WrapPlan<Signer, EnvelopeRecipient>>, header = HEADER): Work {
  return async (body) => {
    const message = { header, body: () => chunksOf(body) };
    const wrapped = await wrap(message, { tripleWrap: false, ...plan }, { cms, now: NOW, random: systemRandom.bytes });
    if ("problem" in wrapped) throw new Error(wrapped.problem);
    return drain(wrapped.body);
  };
}

const detached = { signer: rsaSigner, format: "detached" } as const;
const old: EnvelopeRecipient = { certificate: rsaReader };
const modern: EnvelopeRecipient = { certificate: rsaReader, capabilities: { gcm: true, oaep: true } };
const editing = {
  own: keyring.own,
  isOurs: true,
  covered: new Set<string>(),
  publicSigners: new Set<string>(),
  received,
  messageIds,
};

const ROWS: readonly Row[] = [
  { name: "raw: SHA-256 of the body", work: sha256 },
  { name: "raw: AES-256-CBC of the body", work: aes("cbc") },
  { name: "raw: AES-256-GCM of the body", work: aes("gcm") },
  { name: "raw: one RSA-2048 signature", work: () => signInPool(rsaKey) },
  { name: "raw: one P-256 signature", work: () => signInPool(ecKey) },
  { name: "raw: one Ed25519 signature", work: () => signInPool(edKey) },
  { name: "header strip", work: async () => editHeader(HEADER, STRIP, editing) },
  { name: "DKIM rsa", work: dkim("rsa-sha256") },
  { name: "DKIM ed25519", work: dkim("ed25519-sha256") },
  { name: "DKIM both", work: dkim("rsa-sha256", "ed25519-sha256") },
  { name: "DKIM both, blanks to squeeze", work: dkim("rsa-sha256", "ed25519-sha256"), bodyOf: textBody },
  { name: "S/MIME sign detached, RSA-2048", work: smime({ sign: detached }) },
  { name: "S/MIME sign detached, P-256", work: smime({ sign: { signer: ecSigner, format: "detached" } }) },
  { name: "S/MIME sign detached, 8-bit text", work: smime({ sign: detached }, TEXT_HEADER), bodyOf: textBody },
  { name: "S/MIME sign opaque, RSA-2048", work: smime({ sign: { signer: rsaSigner, format: "opaque" } }) },
  { name: "S/MIME encrypt, CBC + RSA v1.5", work: smime({ encryptTo: [old] }) },
  { name: "S/MIME encrypt, GCM + RSA-OAEP", work: smime({ encryptTo: [modern] }) },
  { name: "S/MIME encrypt, CBC + ECDH P-256", work: smime({ encryptTo: [{ certificate: ecReader }] }) },
  { name: "S/MIME sign + encrypt", work: smime({ sign: detached, encryptTo: [old] }) },
  { name: "S/MIME triple wrap", work: smime({ sign: detached, encryptTo: [old], tripleWrap: true }) },
  { name: "whole: strip + DKIM both", work: (body) => treatWhole(PLAIN, () => chunksOf(body)) },
  { name: "whole: strip + sign + encrypt + DKIM both", work: (body) => treatWhole(SECRET, () => chunksOf(body)) },
];

/** Milliseconds a message. */
interface Cost {
  readonly cpu: number;
  readonly wall: number;
}

async function costOf(work: Work, body: Buffer, rounds: number): Promise<Cost> {
  const costs: Cost[] = [];
  for (let run = -1; run < RUNS; run += 1) {
    const [cpuBefore, began] = [process.cpuUsage(), performance.now()];
    for (let round = 0; round < rounds; round += 1) await work(body);
    const wall = (performance.now() - began) / rounds;
    const { user, system } = process.cpuUsage(cpuBefore);
    if (run >= 0) costs.push({ cpu: (user + system) / 1_000 / rounds, wall }); // the first is the warm-up
  }
  return { cpu: median(costs.map(({ cpu }) => cpu)), wall: median(costs.map(({ wall }) => wall)) };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function shown({ cpu, wall }: Cost): string {
  const digits = Math.max(cpu, wall) < 10 ? 2 : 1;
  return `${cpu.toFixed(digits)} / ${wall.toFixed(digits)}`;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

const wanted = process.argv.slice(2);
const isWanted = (name: string): boolean => wanted.length === 0 || wanted.some((word) => name.includes(word));
const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}, Node ${process.version}`;
say(`${machine}, load ${loadavg()[0]?.toFixed(1)} before; ms a message as CPU / wall, medians of ${RUNS} warm runs`);
say(`| | ${SIZES.map(({ name }) => name).join(" | ")} |`);
say(`| --- | ${SIZES.map(() => "---:").join(" | ")} |`);
for (const { name, work, bodyOf = attachmentBody } of ROWS.filter((row) => isWanted(row.name))) {
  process.stdout.write(`| ${name} |`); // each as soon as it is known
  for (const { octets, rounds } of SIZES)
    process.stdout.write(` ${shown(await costOf(work, bodyOf(octets), rounds))} |`);
  say("");
}
if (isWanted("memory")) say(await peakMemory());
if (isWanted("event loop")) say(await longestBlock());
say(`load ${loadavg()[0]?.toFixed(1)} after`);
