/** Commands against a real gateway, running and stopped. Partners are a closed port, so that mail waits. */
import { createServer } from "node:net";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createPasswordCheck } from "../../src/accept/passwords.ts";
import type { Input } from "../../src/cli/deps.ts";
import { handIn } from "../../src/cli/demo-partners.ts";
import { parseUsers } from "../../src/config/users.ts";
import type { Gateway } from "../../src/gateway.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { cliDeps, run } from "./cli-deps.ts";

let folder: string;
let gateway: Gateway | undefined;
let closedPort: number;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealpost-cli-"));
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  closedPort = (server.address() as { port: number }).port;
  server.close();
  await once(server, "close");
  await mkdir(join(folder, "config", "partners"), { recursive: true });
  await configure();
});
afterEach(async () => {
  await gateway?.stop("test over");
  gateway = undefined;
  await rm(folder, { recursive: true, force: true });
});

async function configure(extra = ""): Promise<void> {
  const text = `hostname: relay.example.org
postmaster: postmaster@example.org
data_dir: ../data
listeners: [{name: smarthost, address: 127.0.0.1, port: 0, clients: [127.0.0.0/8]}]
queue: {key_file: ../certs/queue.key, retry: [1h], reserve: 1MiB}
admin: {address: 127.0.0.1, port: 0, token_file: ../data/admin.token}
outbound: {next_hop: "[127.0.0.1]:${closedPort}", tls: {level: encrypt}}
${extra}`;
  await writeFile(join(folder, "config", "sealpost.yaml"), text);
}

const sealpost = (words: string, over: Parameters<typeof run>[2] = {}) =>
  run(folder, [...words.split(" "), ...config()], over);
const config = () => ["-c", join(folder, "config", "sealpost.yaml")];

async function start(): Promise<Gateway> {
  const lines: string[] = [];
  const started = await cliDeps(folder).startGateway({
    configFile: join(folder, "config", "sealpost.yaml"),
    write: (line) => void lines.push(line),
  });
  if (!started.ok) throw new Error(started.lines.join("\n"));
  gateway = started.gateway;
  return gateway;
}

/** Hands in one message each, and waits until their first attempts have ended. */
async function waiting(...recipients: string[]): Promise<string[]> {
  const [listener] = (gateway ?? (await start())).listeners;
  const replies: string[] = [];
  for (const recipient of recipients) replies.push(await handIn(listener!, "anna@example.org", recipient));
  await until(async () => {
    const entries = await listed();
    return entries.length >= recipients.length && entries.every(({ state }) => state === "waiting");
  });
  return replies.map((reply) => /[0-9a-f]{32}/.exec(reply)?.[0] ?? "");
}

async function listed(words = ""): Promise<{ queueId: string; state: string; domain: string }[]> {
  const { out } = await sealpost(`queue list --json${words === "" ? "" : ` ${words}`}`);
  return out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as { queueId: string; state: string; domain: string });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 15_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error("not in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function stop(): Promise<void> {
  await gateway?.stop("test");
  gateway = undefined;
}

describe("queue", () => {
  it("lists, shows, retries and removes over the running gateway", async () => {
    const [first = "", second = ""] = await waiting("bea@acme.example", "cem@other.example");
    const list = await sealpost("queue list");
    expect(list).toMatchObject({ code: 0, error: "" });
    expect(list.out).toContain("connection-failed");
    expect(list.out).toContain("2 deliveries of 2 messages");
    expect((await listed("--domain other.example")).map(({ queueId }) => queueId)).toEqual([second]);
    expect(await listed("--recipient bea@acme.example --reason connection-failed")).toHaveLength(1);
    expect(await listed("--sender <>")).toEqual([]);
    expect(await listed("--older-than 1h")).toEqual([]);
    const shown = await sealpost(`queue show ${first}`);
    expect(shown.out).toMatch(/to +bea@acme\.example/);
    expect(shown.out).not.toContain("sealpost demo"); // the subject
    expect(await sealpost(`queue retry ${first}`)).toMatchObject({ code: 0, out: "1 delivery is tried again now.\n" });
    await until(async () => (await listed()).every(({ state }) => state === "waiting"));
    const removed = await run(folder, ["queue", "remove", second, "--reason", "sent twice", ...config()]);
    expect(removed).toMatchObject({ code: 0, out: "1 delivery is removed.\n" });
    expect((await sealpost(`queue show ${second}`)).code).toBe(1);
    expect((await listed()).map(({ queueId }) => queueId)).toEqual([first]);
  });

  it("does the same to the store of a stopped gateway, which finds it done", async () => {
    const [first = "", second = ""] = await waiting("bea@acme.example", "cem@other.example");
    await stop();
    expect((await listed()).map(({ queueId }) => queueId)).toEqual([first, second]);
    const removed = await run(folder, ["queue", "remove", "--domain", "acme.example", "--reason", "x", ...config()]);
    expect(removed).toMatchObject({ code: 0, out: "1 delivery is removed.\n" });
    expect(removed.error).toContain("not in its log");
    expect(await sealpost("queue retry --all --json")).toMatchObject({ code: 0, out: '{"matched":1,"busy":0}\n' });
    await start();
    await until(async () => (await listed()).every(({ state }) => state === "waiting"));
    expect((await listed()).map(({ queueId }) => queueId)).toEqual([second]);
  });

  it("logs what was done while the gateway was stopped, where the log is a file", async () => {
    const [id] = await waiting("bea@acme.example");
    await stop();
    await configure("log: {addresses: domain, to: {file: ../gateway.log}}");
    const removed = await run(folder, [
      "queue",
      "remove",
      "--sender",
      "anna@example.org",
      "--reason",
      "x",
      ...config(),
    ]);
    expect(removed).toMatchObject({ code: 0, error: "" });
    const lines = (await readFile(join(folder, "gateway.log"), "utf8")).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { event: "queue.action", action: "remove", matched: 1, reason: "x", filter: { sender: "@example.org" } },
      { event: "admin.action", action: "queue remove", address: "local", who: userInfo().username, why: "x" },
      { event: "message.finished", queueId: id, outcome: [{ recipient: "@acme.example", end: "removed" }] },
    ]);
  });

  it("of a gateway that has never run is empty, and looking makes nothing", async () => {
    expect(await sealpost("queue list")).toMatchObject({ code: 0, out: "Nothing waits.\n" });
    expect(await readdir(folder)).not.toContain("certs");
  });

  it("of a gateway that holds the lock and does not answer is not touched: exit 69", async () => {
    await waiting("bea@acme.example");
    await rm(join(folder, "data", "gateway.json"));
    const ran = await sealpost("queue list");
    expect(ran).toMatchObject({ code: 69, out: "" });
    expect(ran.error).toContain(String(process.pid));
  });

  it("without the right to the token says so, and does nothing: exit 69", async () => {
    await waiting("bea@acme.example");
    await chmod(join(folder, "data", "admin.token"), 0o644);
    const ran = await sealpost("queue retry --all");
    expect(ran.code).toBe(69);
    expect(ran.error).toContain("Others may read");
  });

  it("is found although a killed gateway has left its gateway.json behind", async () => {
    const [id] = await waiting("bea@acme.example");
    await stop();
    const left = { pid: 1, admin: { address: "127.0.0.1", port: closedPort } };
    await writeFile(join(folder, "data", "gateway.json"), JSON.stringify(left));
    expect((await listed()).map(({ queueId }) => queueId)).toEqual([id]);
  });

  it("with a wrong queue key ends with 78 and names the key, never its content", async () => {
    await waiting("bea@acme.example");
    await stop();
    const keyFile = join(folder, "certs", "queue.key");
    const key = await readFile(keyFile, "utf8");
    await rm(keyFile);
    const ran = await sealpost("queue list");
    expect(ran.code).toBe(78);
    expect(ran.error).toContain("queue.key");
    expect(ran.error).not.toContain(key.trim());
  });
});

describe("reload", () => {
  it("says done, or why not, or that nobody is there", async () => {
    expect((await sealpost("reload")).code).toBe(69);
    await start();
    expect(await sealpost("reload")).toMatchObject({ code: 0, out: "The new configuration is in force.\n" });
    await configure("no_such_key: 1");
    const refused = await sealpost("reload");
    expect(refused.code).toBe(78);
    expect(refused.error).toMatch(/sealpost\.yaml:8:1: /);
    await configure();
    await stop();
    expect((await sealpost("reload")).code).toBe(69);
  });

  it("tells what the running gateway alone can refuse: exit 78", async () => {
    await start();
    const file = join(folder, "config", "sealpost.yaml");
    await writeFile(file, (await readFile(file, "utf8")).replace("name: smarthost", "name: another"));
    const refused = await sealpost("reload");
    expect(refused.code).toBe(78);
    expect(refused.error).toContain("listeners");
  });
});

describe("check", () => {
  it("tells in short what is set up", async () => {
    await writeFile(
      join(folder, "config", "partners", "acme.yaml"),
      "domains: [acme.example]\noutbound: {tls: {level: secure, match: [mx.acme.example]}}\n",
    );
    const ran = await sealpost("check");
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.out).toMatch(/partner +acme \(acme\.example\): level secure to /);
    expect(ran.out).toMatch(/Good: config\/sealpost\.yaml/);
    expect(JSON.parse((await sealpost("check --json")).out)).toMatchObject({
      ok: true,
      partners: [{ id: "acme", level: "secure" }],
    });
  });

  it("tells every problem with place and remedy", async () => {
    await configure("limits: {mesage_size: 1MiB}\nmode: sometimes");
    const ran = await sealpost("check");
    expect(ran).toMatchObject({ code: 78, out: "" });
    expect(ran.error).toMatch(/config\/sealpost\.yaml:8:10: /);
    expect(ran.error).toMatch(/config\/sealpost\.yaml:9:\d+: /);
    expect(ran.error).toContain("2 problems");
  });
});

const verifyPassword = createPasswordCheck(systemRandom);

/** Standard input with these bytes; a terminal notes whether it echoes. */
function input(text: string, terminal?: boolean[]): Input {
  const bytes = (async function* () {
    for (const char of Buffer.from(text).toString("latin1")) yield Buffer.from(char, "latin1");
  })();
  if (terminal === undefined) return bytes;
  return Object.assign(bytes, { isTTY: true, setRawMode: (raw: boolean) => terminal.push(raw) });
}

describe("users add", () => {
  const file = () => join(folder, "data", "users");
  const users = async () => parseUsers(await readFile(file(), "utf8")).users;
  beforeEach(async () => {
    const path = join(folder, "config", "sealpost.yaml");
    const text = (await readFile(path, "utf8")).replace(
      "clients: [127.0.0.0/8]",
      "clients: [127.0.0.0/8], auth: {users_file: ../data/users}",
    );
    await writeFile(path, text);
  });

  it("makes the users file for its owner alone, before the configuration is whole", async () => {
    expect((await sealpost("check")).code).toBe(78); // the file it names is not there
    const ran = await sealpost("users add exch01", { stdin: input("correct horse\n") });
    expect(ran).toMatchObject({ code: 0, error: "" });
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    expect(await readdir(join(folder, "data"))).toEqual(["users"]);
    expect(await verifyPassword(await users(), "exch01", "correct horse")).toMatchObject({ senders: "own" });
    expect(await readFile(file(), "utf8")).not.toContain("horse");
    expect((await sealpost("check")).code).toBe(0);
  });

  it("keeps every other line, and replaces a user only when told to", async () => {
    await sealpost("users add anna --senders any", { stdin: input("one\n") });
    await writeFile(file(), `# our users\n${await readFile(file(), "utf8")}`);
    await sealpost("users add bea --senders Bea@Example.org *@sales.example.org", { stdin: input("two") });
    const again = await sealpost("users add anna", { stdin: input("three\n") });
    expect(again).toMatchObject({ code: 1 });
    expect((await sealpost("users add anna --replace --senders any", { stdin: input("three\n") })).code).toBe(0);
    expect(await readFile(file(), "utf8")).toMatch(
      /^# our users\nanna scrypt:\S+ any\nbea scrypt:\S+ bea@example\.org,\*@sales\.example\.org\n$/,
    );
    expect(await verifyPassword(await users(), "anna", "three")).toBeDefined();
    expect(await verifyPassword(await users(), "anna", "one")).toBeUndefined();
  });

  it("asks twice on a terminal, shows nothing of what is typed, and takes backspaces", async () => {
    const raw: boolean[] = [];
    const ran = await sealpost("users add anna", { stdin: input("secreX\u007ft\rsecret\r", raw) });
    expect(ran.code).toBe(0);
    expect(ran.error + ran.out).not.toContain("secr");
    expect(raw).toEqual([true, false]);
    expect(await verifyPassword(await users(), "anna", "secret")).toBeDefined();
  });

  it("takes a password in any alphabet", async () => {
    await sealpost("users add anna", { stdin: input("pässwörd→\n") });
    expect(await verifyPassword(await users(), "anna", "pässwörd→")).toBeDefined();
  });

  it.each([
    ["two passwords that differ", "anna", input("one\rtwo\r", [])],
    ["Ctrl-C", "anna", input("one\u0003", [])],
    ["no password", "anna", input("")],
    ["an empty one", "anna", input("\n")],
    ["a name with a blank", "an\tna", input("one\n")],
    ["a name that is a comment", "#anna", input("one\n")],
    ["senders that are none", "anna --senders example.org", input("one\n")],
  ])("refuses %s and writes nothing: exit 64", async (_, words, stdin) => {
    expect((await sealpost(`users add ${words}`, { stdin })).code).toBe(64);
    await expect(stat(file())).rejects.toThrow("ENOENT");
  });
});

describe("demo", () => {
  it("shows mail delivered, waiting and why, and delivered after all, and leaves nothing behind", async () => {
    const place = process.env["TMPDIR"];
    process.env["TMPDIR"] = join(folder, "config");
    const ran = await run(folder, ["demo", "--json"]);
    if (place === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = place;
    expect(ran).toMatchObject({ code: 0, error: "" });
    const told = ran.out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(told).toMatchObject([
      { domain: "good.example", outcome: "delivered", authenticatedBy: "private-ca", taken: 1 },
      { domain: "plain.example", outcome: "deferred", reason: "starttls-not-supported", taken: 0 },
      { domain: "foreign.example", outcome: "deferred", reason: "certificate-not-trusted", taken: 0 },
      { domain: "recovers.example", outcome: "deferred", reason: "certificate-expired", taken: 0 },
      { domain: "recovers.example", outcome: "delivered", taken: 1 },
    ]);
    for (const { outcome, partnerSaw } of told)
      expect(/\bMAIL\b/.test(String(partnerSaw))).toBe(outcome === "delivered");
    expect(await readdir(join(folder, "config"))).toEqual(["partners", "sealpost.yaml"]);
  });

  it("tells it in words", async () => {
    const ran = await run(folder, ["demo"]);
    expect(ran.code).toBe(0);
    expect(ran.out).toContain("waits: starttls-not-supported");
    expect(ran.out).toContain("sealpost queue retry --domain recovers.example");
  });
});
