/**
 * The package as it is published: packed from a copy of the checkout, installed somewhere else, started there.
 * Nothing is fetched: the dependencies it declares, and only those, are linked from this checkout.
 */
import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createAuthority } from "../peers/certificates.ts";
import { startMx } from "../peers/mx-server.ts";
import { SmtpClient } from "../peers/smtp-client.ts";

const run = promisify(execFile);
const DEADLINE_MS = 20_000;

interface Manifest {
  readonly version: string;
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
}
const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;

let base: string;
/** Where a user would find it: below node_modules, where Node strips no types. */
let installed: string;

beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), "sealpost-package-"));
  const checkout = join(base, "checkout");
  const needed = [...manifest.files, "package.json", ".npmrc", "src", "test", "tsconfig.json", "tsconfig.package.json"];
  for (const name of needed.filter((one) => one !== "dist" && existsSync(one))) {
    cpSync(name, join(checkout, name), { recursive: true });
  }
  symlinkSync(resolve("node_modules"), join(checkout, "node_modules"));
  // .npmrc turns scripts off, and prepack is one.
  await run("npm", ["pack", "--ignore-scripts=false"], { cwd: checkout });
  installed = join(base, "app", "node_modules", "sealpost");
  mkdirSync(installed, { recursive: true });
  const tarball = join(checkout, `sealpost-${manifest.version}.tgz`);
  await run("tar", ["-xzf", tarball, "-C", installed, "--strip-components=1"]);
  for (const name of Object.keys(manifest.dependencies)) {
    mkdirSync(dirname(join(installed, "..", name)), { recursive: true });
    symlinkSync(resolve("node_modules", name), join(installed, "..", name));
  }
}, 120_000);
afterAll(() => rmSync(base, { recursive: true, force: true }));

it("carries compiled JavaScript, no sources, no tests and no keys", () => {
  const files = globSync("**/*", { cwd: installed });
  expect(files).toEqual(
    expect.arrayContaining(["bin/sealpost.mjs", "dist/main.js", "config/sealpost.yaml", "README.md"]),
  );
  expect(files.filter((name) => /\.ts$|^(src|test|certs|data)\b|\.(key|pem|crt)$/.test(name))).toEqual([]);
});

it("names no TypeScript file in what it imports or starts", () => {
  const scripts = globSync("dist/**/*.js", { cwd: installed });
  expect(scripts.length).toBeGreaterThan(20);
  const stray = /(?:from|import\(|import|new URL\()\s*"\.[^"]*\.ts"/;
  expect(scripts.filter((name) => stray.test(readFileSync(join(installed, name), "utf8")))).toEqual([]);
});

type Line = Readonly<Record<string, unknown>>;

/** The installed gateway as a process of its own; its log as values. */
function start(config: string) {
  const launcher = join(installed, "bin", "sealpost.mjs");
  const child: ChildProcessByStdio<null, Readable, Readable> = spawn(
    process.execPath,
    [launcher, "start", "-c", config],
    { cwd: base, stdio: ["ignore", "pipe", "pipe"] },
  );
  const text = { out: "", error: "" };
  child.stdout.on("data", (chunk: Buffer) => (text.out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (text.error += chunk.toString()));
  const ended = once(child, "close");
  const logged = async (event: string): Promise<Line> => {
    for (const end = performance.now() + DEADLINE_MS; performance.now() < end; ) {
      const lines = text.out.split("\n").slice(0, -1);
      const found = lines.map((line) => JSON.parse(line) as Line).find((line) => line["event"] === event);
      if (found !== undefined) return found;
      await new Promise((again) => setTimeout(again, 10));
    }
    throw new Error(`no ${event}:\n${text.out}${text.error}`);
  };
  return { child, logged, ended };
}

it("starts, takes a message, delivers it over TLS and stops", async () => {
  const { chain: certificate, key } = createAuthority("Partner CA").issue({ names: ["mx.acme.test"] });
  const mx = await startMx({ hostname: "mx.acme.test", tls: { certificate, key } });
  mkdirSync(join(base, "config", "partners"), { recursive: true });
  const config = join(base, "config", "sealpost.yaml");
  const settings = {
    hostname: "relay.own.test",
    postmaster: "postmaster@own.test",
    listeners: [{ name: "smarthost", address: "127.0.0.1", port: 0, clients: ["127.0.0.0/8"] }],
    queue: { reserve: "1MiB" },
    admin: { port: 0 },
    outbound: { next_hop: `[127.0.0.1]:${mx.port}`, tls: { level: "encrypt" } },
  };
  writeFileSync(config, JSON.stringify(settings)); // JSON is YAML
  const { child, logged, ended } = start(config);
  try {
    const { listeners } = (await logged("gateway.ready")) as { listeners?: readonly { port: number }[] };
    const client = await SmtpClient.greeted({ port: listeners?.[0]?.port ?? 0 });
    await client.ask("MAIL FROM:<anna@own.test>", 250);
    await client.ask("RCPT TO:<bob@acme.test>", 250);
    await client.ask("DATA", 354);
    await client.ask("Subject: packed\r\n\r\nhello\r\n.", 250);
    client.close();
    expect(await logged("delivery")).toMatchObject({ outcome: "delivered", tls: { result: "encrypted" } });
    expect(mx.messages).toMatchObject([{ secure: true, complete: true }]);
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
  } finally {
    child.kill("SIGKILL");
    await mx.close();
  }
});
