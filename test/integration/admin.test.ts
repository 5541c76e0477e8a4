import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type AdminDeps, type AdminServer, AdminStartError, createAdminServer } from "../../src/admin/admin-server.ts";
import type { Emit, Events } from "../../src/report/events.ts";
import type { ProbeReport, ProbeRequest } from "../../src/report/probe-report.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { actionsOn, type FakeQueue, fakeQueue, item } from "../unit/admin/fake-queue.ts";

let folder: string;
let server: AdminServer | undefined;
let queue: FakeQueue;
let events: { event: keyof Events; fields: unknown }[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sealpost-admin-"));
  queue = fakeQueue([item(1), item(2), item(3, { domain: "other.example" })]);
  events = [];
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  await rm(folder, { recursive: true, force: true });
});

const emit: Emit = (event, fields) => void events.push({ event, fields });

function create(over: Partial<AdminDeps> = {}): AdminServer {
  server = createAdminServer({
    settings: { address: "127.0.0.1", port: 0, tokenFile: join(folder, "data", "admin.token"), contentAccess: false },
    queue: actionsOn(queue, systemClock, { emit }),
    history: {
      trace: () => Promise.resolve([]),
      erase: () => Promise.resolve({ changed: 0, waiting: 0 }),
      figures: () => Promise.resolve({ deliveries: 0, wouldDefer: [] }),
    },
    keys: {
      state: () => Promise.resolve({ keyId: "a".repeat(16), former: [], running: false, trouble: undefined }),
      rotate: () => Promise.resolve({ kind: "failed", detail: "no rotation was expected" }),
    },
    reload: () => Promise.resolve([]),
    ready: () => ({ ready: true, problems: [] }),
    status: () => ({ version: "0.1.0" }),
    metrics: () => Promise.resolve("sealpost_ready 1\n"),
    probe: () => Promise.reject(new Error("no probe was expected")),
    emit,
    clock: systemClock,
    random: systemRandom,
    ...over,
  });
  return server;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly json: Record<string, unknown>;
  readonly headers: Record<string, unknown>;
}

/** Node's fetch forbids Host and Origin, so these are plain requests. */
async function asking(over: Partial<AdminDeps> = {}) {
  const { port } = await create(over).listen();
  const token = (await readFile(join(folder, "data", "admin.token"), "utf8")).trim();
  const ask = (method: string, path: string, options: { headers?: Record<string, string>; body?: unknown } = {}) =>
    new Promise<Answer>((resolve, reject) => {
      const body = options.body === undefined ? undefined : JSON.stringify(options.body);
      const headers = {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { "content-type": "application/json" }),
        ...options.headers,
      };
      const sent = request({ host: "127.0.0.1", port, method, path, headers }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
        response.on("end", () => {
          const json = text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : {};
          resolve({ status: response.statusCode ?? 0, body: text, json, headers: response.headers });
        });
      });
      sent.on("error", reject);
      sent.end(body);
    });
  return { ask, port, token };
}

const nobody = { authorization: "" };

describe("health", () => {
  it("is told without a token, and never cached", async () => {
    const { ask } = await asking();
    expect(await ask("GET", "/healthz", { headers: nobody })).toMatchObject({ status: 200, json: { ok: true } });
    expect((await ask("GET", "/readyz", { headers: nobody })).status).toBe(200);
    const metrics = await ask("GET", "/metrics", { headers: nobody });
    expect(metrics).toMatchObject({ status: 200, body: "sealpost_ready 1\n" });
    expect(metrics.headers).toMatchObject({ "content-type": "text/plain; version=0.0.4", "cache-control": "no-store" });
  });

  it("says 503 and why while mail cannot be accepted", async () => {
    const { ask } = await asking({ ready: () => ({ ready: false, problems: ["less than 1 GiB of disk is free"] }) });
    const answer = await ask("GET", "/readyz", { headers: nobody });
    expect(answer.status).toBe(503);
    expect(answer.json["problems"]).toEqual(["less than 1 GiB of disk is free"]);
  });
});

describe("the queue over HTTP", () => {
  it("is listed by filter, and page by page", async () => {
    const { ask } = await asking();
    const { json } = await ask("GET", "/api/v1/queue?domain=acme.example&limit=1");
    expect(json["deliveries"]).toEqual([expect.objectContaining({ queueId: "1".padStart(32, "0"), cursor: "#1" })]);
    const next = await ask("GET", "/api/v1/queue?domain=acme.example&limit=1&after=%231");
    expect(next.json["deliveries"]).toEqual([expect.objectContaining({ queueId: "2".padStart(32, "0") })]);
  });

  it("shows one message, and says 404 for one that is not there", async () => {
    const { ask } = await asking();
    const id = "3".padStart(32, "0");
    expect((await ask("GET", `/api/v1/queue/${id}`)).json["deliveries"]).toHaveLength(1);
    for (const missing of ["f".repeat(32), "..%2f..%2fetc%2fpasswd", "x"])
      expect(await ask("GET", `/api/v1/queue/${missing}`)).toMatchObject({
        status: 404,
        json: { error: expect.any(String) },
      });
  });

  it("retries and removes one message", async () => {
    const { ask } = await asking();
    const id = "1".padStart(32, "0");
    expect((await ask("POST", `/api/v1/queue/${id}/retry`)).json).toEqual({ matched: 1, busy: 0 });
    expect((await ask("POST", `/api/v1/queue/${id}/remove`)).status).toBe(400);
    expect((await ask("POST", `/api/v1/queue/${id}/remove`, { body: { reason: " " } })).status).toBe(400);
    expect((await ask("POST", `/api/v1/queue/${id}/remove`, { body: { reason: "sent twice" } })).json).toEqual({
      matched: 1,
      busy: 0,
    });
    expect((await ask("POST", `/api/v1/queue/${id}/remove`, { body: { reason: "again" } })).status).toBe(404);
    expect(queue.items).toHaveLength(2);
    expect(events.map(({ event }) => event)).toContain("message.finished");
  });

  it("acts on all that a filter matches, but never removes everything at once", async () => {
    const { ask } = await asking();
    expect((await ask("POST", "/api/v1/queue/retry")).json).toEqual({ matched: 3, busy: 0 });
    const all = await ask("POST", "/api/v1/queue/remove", { body: { reason: "clean up" } });
    expect(all).toMatchObject({ status: 400, json: { error: "Removing needs a filter" } });
    const body = { filter: { domain: "acme.example" }, reason: "clean up" };
    expect((await ask("POST", "/api/v1/queue/remove", { body })).json).toEqual({ matched: 2, busy: 0 });
    expect(queue.items.map(({ delivery }) => delivery.domain)).toEqual(["other.example"]);
  });

  it.each([
    ["an unknown filter", "GET", "/api/v1/queue?domian=x", undefined],
    ["a filter twice", "GET", "/api/v1/queue?domain=a.example&domain=b.example", undefined],
    [
      "a removal by recipient, which would take others along",
      "POST",
      "/api/v1/queue/remove",
      { filter: { recipient: "a@acme.example" }, reason: "x" },
    ],
    ["a filter beside filter", "POST", "/api/v1/queue/remove", { domain: "acme.example", reason: "x" }],
    ["a filter that is no object", "POST", "/api/v1/queue/retry", { filter: "all" }],
    ["a prototype", "POST", "/api/v1/queue/retry", JSON.parse('{"__proto__": {"a": 1}}')],
  ])("refuses %s and does nothing", async (_, method, path, body: unknown) => {
    const { ask } = await asking();
    const answer = await ask(method, path, { body });
    expect(answer.status).toBe(400);
    expect(answer.json).toMatchObject({ error: expect.any(String), remedy: expect.any(String) });
    expect(queue.asked).toEqual([]);
  });
});

describe("reload over HTTP", () => {
  it("is logged with who asked, and tells the problems when it is refused", async () => {
    const { ask } = await asking({ reload: () => Promise.resolve(["sealpost.yaml:3:1: no such key"]) });
    const answer = await ask("POST", "/api/v1/reload");
    expect(answer).toMatchObject({ status: 422, json: { problems: ["sealpost.yaml:3:1: no such key"] } });
    expect(events).toContainEqual({
      event: "admin.action",
      fields: { action: "reload", address: "127.0.0.1", detail: "refused, 1 problems" },
    });
  });

  it("is no GET: nothing is changed by a link", async () => {
    const { ask } = await asking({ reload: () => Promise.reject(new Error("must not be called")) });
    expect((await ask("GET", "/api/v1/reload")).status).toBe(404);
  });
});

describe("a probe over HTTP", () => {
  const report: ProbeReport = {
    domain: "acme.example",
    at: "2026-11-25T12:00:00.000Z",
    ok: true,
    level: "encrypt",
    partner: null,
    source: "default",
    hosts: [],
    unresolved: [],
  };

  it("is answered with the report, and logged with who asked", async () => {
    const asked: ProbeRequest[] = [];
    const probe = (request: ProbeRequest) => {
      asked.push(request);
      return Promise.resolve(report);
    };
    const { ask } = await asking({ probe });
    const body = { domain: "ACME.example", host: "mx.acme.example", level: "secure" };
    expect(await ask("POST", "/api/v1/probe", { body })).toMatchObject({ status: 200, json: report });
    expect(asked).toEqual([{ ...body, domain: "acme.example", transcript: false }]);
    expect(events).toMatchObject([
      { event: "admin.action", fields: { action: "probe", detail: "acme.example: mail can go" } },
    ]);
  });

  it("is put off while four others are under way; one that fails makes room again", async () => {
    const ends: ((error: Error) => void)[] = [];
    const probe = () => new Promise<ProbeReport>((_, reject) => void ends.push(reject));
    const { ask } = await asking({ probe });
    const body = { domain: "acme.example" };
    const running = [1, 2, 3, 4].map(() => ask("POST", "/api/v1/probe", { body }));
    for (const end = performance.now() + 5_000; ends.length < 4 && performance.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await ask("POST", "/api/v1/probe", { body })).toMatchObject({
      status: 429,
      json: { remedy: expect.stringContaining("Wait") as string },
    });
    for (const end of ends) end(new Error("a defect"));
    expect((await Promise.all(running)).map(({ status }) => status)).toEqual([500, 500, 500, 500]);
    const last = ask("POST", "/api/v1/probe", { body });
    for (const end = performance.now() + 5_000; ends.length < 5 && performance.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 5));
    ends[4]?.(new Error("a defect"));
    expect((await last).status).toBe(500);
  });
});

describe("what the admin listener refuses", () => {
  it.each([
    ["no token", { headers: nobody }, 401],
    ["a wrong token", { headers: { authorization: "Bearer wrong" } }, 401],
    ["a foreign Host [DNS rebinding]", { headers: { host: "evil.example" } }, 403],
    ["a page [CSRF]", { headers: { origin: "http://evil.example" } }, 403],
  ] as const)("is %s, logged, without a word about who may cross origins", async (_, options, status) => {
    const { ask, token } = await asking();
    const answer = await ask("POST", "/api/v1/queue/retry", options);
    expect(answer.status).toBe(status);
    expect(answer.json).toMatchObject({ error: expect.any(String), remedy: expect.any(String) });
    expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
    expect(queue.asked).toEqual([]);
    expect(events.map(({ event }) => event)).toEqual(["admin.denied"]);
    expect(JSON.stringify(events)).not.toContain(token);
  });

  it("is a body over 64 KiB, or of another type than JSON", async () => {
    const { ask } = await asking();
    const large = await ask("POST", "/api/v1/queue/retry", { body: { filter: { domain: "a".repeat(70_000) } } });
    expect(large.status).toBe(413);
    const form = { "content-type": "application/x-www-form-urlencoded" };
    expect((await ask("POST", "/api/v1/queue/retry", { body: {}, headers: form })).status).toBe(415);
    expect(
      (await ask("POST", "/api/v1/queue/retry", { body: {}, headers: { "content-type": "text/plain" } })).status,
    ).toBe(415);
    expect(queue.asked).toEqual([]);
  });

  it("is anything that is not HTTP, and it goes on", async () => {
    const { ask, port } = await asking();
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
    socket.end("EHLO relay\r\n\r\n");
    await new Promise((resolve) => socket.on("close", resolve));
    expect(text).toMatch(/^HTTP\/1\.1 400/);
    expect((await ask("GET", "/healthz")).status).toBe(200);
  });

  it("tells nothing of a defect but that there was one", async () => {
    const { ask } = await asking({ status: () => Promise.reject(new Error("/secret/path")) });
    const answer = await ask("GET", "/api/v1/status");
    expect(answer.status).toBe(500);
    expect(answer.body).not.toContain("secret");
    expect(events).toContainEqual({ event: "error", fields: expect.objectContaining({ kind: "admin" }) });
  });
});

describe("the token file", () => {
  it("is made at first start for its owner alone, and kept", async () => {
    const first = await asking();
    const file = join(folder, "data", "admin.token");
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(first.token).toMatch(/^[\w-]{43}$/);
    expect(await readdir(join(folder, "data"))).toEqual(["admin.token"]);
    await server?.close();
    expect((await asking()).token).toBe(first.token);
  });

  it.each([
    ["that others may read", 0o644, `${"x".repeat(43)}\n`, /Others may read/],
    ["that the group may read", 0o640, `${"x".repeat(43)}\n`, /Others may read/],
    ["that is empty", 0o600, "", /holds no token/],
    ["with too short a token", 0o600, "secret", /holds no token/],
  ])("%s is refused with a remedy, and never replaced", async (_, mode, text, message) => {
    const tokenFile = join(folder, "admin.token");
    await writeFile(tokenFile, text);
    await chmod(tokenFile, mode);
    const refused = create({ settings: { address: "127.0.0.1", port: 0, tokenFile, contentAccess: false } }).listen();
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toMatchObject({
      kind: "token",
      remedy: expect.stringContaining(tokenFile),
    });
    expect(await readFile(tokenFile, "utf8")).toBe(text);
  });
});

it("says that its port is taken, and what to write", async () => {
  const { port } = await asking();
  const first = server;
  const settings = { address: "127.0.0.1", port, tokenFile: join(folder, "data", "admin.token"), contentAccess: false };
  const error: unknown = await create({ settings })
    .listen()
    .catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(AdminStartError);
  expect(error).toMatchObject({ kind: "address", remedy: expect.stringContaining("admin.port") });
  await first?.close();
});
