/** trace, erase and key rotate through the command line, on a running gateway and on a stopped one. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { eventually } from "../contract/messages.ts";
import { holding } from "../contract/raw-files.ts";
import type { Line, Tree } from "../peers/gateway.ts";
import { run, type Ran } from "./cli-deps.ts";
import { createRig, goodMx, letter, type Rig, submit } from "./treatment-rig.ts";

const LONG_MS = 30_000;

interface Desk extends Rig {
  readonly sealpost: (...words: string[]) => Promise<Ran>;
  /** Hands in one message; answers with its queue id. */
  readonly sent: (recipients: string, from?: string) => Promise<string>;
  readonly line: (event: string, matches: (line: Line) => boolean) => Promise<Line>;
}

async function createDesk(settings: Tree = {}): Promise<Desk> {
  const rig = await createRig(goodMx);
  const { site } = rig;
  await rig.configure({ queue: { retry: ["1h"], reserve: "1MiB" }, ...settings });
  await site.start();
  return {
    ...rig,
    sealpost: (...words) => run(site.folder, [...words, "-c", join(site.folder, "config", "sealpost.yaml")]),
    sent: async (to, from = "anna@example.org") => {
      const reply = await submit(site, { from, to, content: letter() });
      return /[0-9a-f]{32}/.exec(reply)?.[0] ?? "";
    },
    line: async (event, matches) => {
      const found = (): Line | undefined => site.log.find((one) => one.event === event && matches(one));
      await eventually(() => found() !== undefined, LONG_MS);
      return found() as Line;
    },
  };
}

const json = (out: string): Tree[] => out.split("\n").flatMap((one) => (one === "" ? [] : [JSON.parse(one) as Tree]));

describe.each([
  ["running", false],
  ["stopped", true],
])("on a gateway that is %s", { timeout: 3 * LONG_MS }, (_, isStopped) => {
  const stopIf = async ({ site }: Desk): Promise<void> => {
    if (isStopped) await site.gateway().stop("test");
  };

  it("trace tells what became of a message, by queue id, Message-ID and address", async () => {
    const desk = await createDesk();
    const id = await desk.sent("bert@acme.test");
    const { messageId } = await desk.line("message.accepted", (one) => one["queueId"] === id);
    await desk.line("message.finished", (one) => one["queueId"] === id);
    await stopIf(desk);
    const inner = String(messageId);
    for (const query of [id, `${id}-0`, inner, inner.slice(1, -1), "bert@acme.test", "ANNA@example.org"]) {
      const { code, out } = await desk.sealpost("trace", query, "--json");
      expect([query, code, json(out).map(({ kind, queueId }) => [kind, queueId])]).toEqual([
        query,
        0,
        [
          ["accepted", id],
          ["delivery", id],
        ],
      ]);
    }
    const shown = await desk.sealpost("trace", id);
    expect(shown.code).toBe(0);
    const out = shown.out.replace(/\s+/g, " ");
    expect(out).toContain(id);
    expect(out).toMatch(/accepted from anna@example\.org for bert@acme\.test: \d+ octets, Message-ID </);
    expect(out).toMatch(/delivered at try 1: bert@acme\.test by \S+ \[127\.[\d.]+\], TLSv1\.3 \w+.*: 250 2\.\d\.\d /);
  });

  it("trace answers 1 when it knows nothing, and 64 when it does not understand", async () => {
    const desk = await createDesk();
    await stopIf(desk);
    expect(await desk.sealpost("trace", "nobody@example.org")).toMatchObject({
      code: 1,
      out: "",
      error: expect.stringContaining("Nothing is known"),
    });
    expect((await desk.sealpost("trace", "what is this")).code).toBe(64);
  });

  it("erase leaves the address nowhere, and the other recipients' story as it is", async () => {
    const desk = await createDesk();
    const id = await desk.sent("bert@acme.test");
    await desk.line("message.finished", (one) => one["queueId"] === id);
    const both = await desk.sent("carl@acme.test", "bert@acme.test");
    await desk.line("message.finished", (one) => one["queueId"] === both);
    await stopIf(desk);
    const { code, out } = await desk.sealpost("erase", "Bert@ACME.test", "--why", "he asks for it");
    expect([code, out]).toEqual([0, "Erased from 4 entries of the history.\n"]);
    expect((await desk.sealpost("trace", "bert@acme.test")).code).toBe(1);
    const left = await desk.sealpost("trace", "carl@acme.test");
    expect(left.code).toBe(0);
    expect(left.out).toContain("accepted from erased for carl@acme.test");
    expect((await desk.sealpost("trace", id, "--json")).out.toLowerCase()).not.toContain("bert@");
    expect(holding(join(desk.site.folder, "data"), "bert@acme.test")).toEqual([]);
    expect(await desk.sealpost("erase", "bert@acme.test", "--why", "again")).toMatchObject({
      code: 0,
      out: "Erased from 0 entries of the history.\n",
    });
  });

  it("erase tells of mail that still waits, leaves it and answers 1; without --why it does nothing", async () => {
    const desk = await createDesk();
    desk.mx.change({ hostname: "mx.acme.test", starttls: "absent" });
    const id = await desk.sent("bert@acme.test");
    await desk.line("delivery", (one) => one["queueId"] === id && one["outcome"] === "deferred");
    await stopIf(desk);
    const traced = (await desk.sealpost("trace", id)).out.replace(/\s+/g, " ");
    expect(traced).toMatch(/deferred \(starttls-not-supported\) at try 1: bert@acme\.test by \S+ \[127\.[\d.]+\]: /);
    expect((await desk.sealpost("erase", "bert@acme.test")).code).toBe(64);
    expect((await desk.sealpost("erase", "no address", "--why", "x")).code).toBe(64);
    const { code, error } = await desk.sealpost("erase", "bert@acme.test", "--why", "x");
    expect(code).toBe(1);
    expect(error).toContain("1 delivery for or from this address still waits, and keeps it until its end");
    expect((await desk.sealpost("queue", "list", "--json")).out).toContain("bert@acme.test");
  });

  it("key rotate puts a new key in force and ends when nothing needs the old one; mail that waits goes", async () => {
    const desk = await createDesk();
    desk.mx.change({ hostname: "mx.acme.test", starttls: "absent" });
    const id = await desk.sent("bert@acme.test");
    await desk.line("delivery", (one) => one["queueId"] === id && one["outcome"] === "deferred");
    await stopIf(desk);
    const keyFile = join(desk.site.folder, "certs", "queue.key");
    const before = await readFile(keyFile, "utf8");
    const { code, out, error } = await desk.sealpost("key", "rotate", "--why", "every year");
    expect([code, out]).toEqual([
      0,
      expect.stringMatching(/^Queue key [0-9a-f]{16} is in force; nothing needs [0-9a-f]{16} any more\.\n$/),
    ]);
    expect(error).toMatch(/Back \S*queue\.key up now/);
    const after = await readFile(keyFile, "utf8");
    expect(after).not.toContain(before.trim());
    expect(after.trimEnd().split("\n")).toHaveLength(1);
    expect(`${out}${error}`).not.toContain(after.trim());
    const shown = await desk.sealpost("key", "show", "--json");
    expect(json(shown.out)).toEqual([{ keyId: out.slice(10, 26), former: [], running: false }]);
    if (isStopped) await desk.site.start();
    desk.mx.change(goodMx);
    expect((await desk.sealpost("queue", "retry", id)).code).toBe(0);
    await desk.line("message.finished", (one) => one["queueId"] === id);
    expect((await desk.sealpost("trace", "bert@acme.test")).code).toBe(0);
  });

  it("key rotate says what is wrong with the file, and changes nothing", async () => {
    const desk = await createDesk();
    const keyFile = join(desk.site.folder, "certs", "queue.key");
    await stopIf(desk);
    const key = await readFile(keyFile, "utf8");
    await writeFile(keyFile, `${"cd".repeat(32)}\n`);
    const { code, error } = await desk.sealpost("key", "rotate");
    expect([code, error]).toEqual([isStopped ? 78 : 1, expect.stringContaining("queue.key")]);
    expect(await readFile(keyFile, "utf8")).toBe(`${"cd".repeat(32)}\n`);
    await writeFile(keyFile, key);
    expect((await desk.sealpost("key", "rotate")).code).toBe(0);
  });
});

it("every look, erasure and rotation is in the log, with who and why; an erased address is not", {
  timeout: 3 * LONG_MS,
}, async () => {
  const desk = await createDesk();
  const id = await desk.sent("bert@acme.test");
  await desk.line("message.finished", (one) => one["queueId"] === id);
  await desk.sealpost("trace", "bert@acme.test", "--why", "he asks");
  await desk.sealpost("erase", "bert@acme.test", "--why", "he does not want it");
  await desk.sealpost("key", "rotate", "--why", "yearly", "--json");
  const actions = desk.site.log.filter(({ event }) => event === "admin.action");
  expect(actions).toMatchObject([
    { action: "trace", why: "he asks", who: expect.any(String), detail: "bert@acme.test: 2 entries" },
    { action: "erase", why: "he does not want it", who: expect.any(String), detail: "2 entries" },
    { action: "key rotate", why: "yearly", who: expect.any(String), detail: expect.stringContaining("is in force") },
  ]);
  const [, erasing] = actions;
  expect(JSON.stringify(erasing)).not.toContain("bert@");
  const { keyId, dropped } = await desk.line("key.rotated", () => true);
  expect([keyId, dropped]).toEqual([
    expect.stringMatching(/^[0-9a-f]{16}$/),
    [expect.stringMatching(/^[0-9a-f]{16}$/)],
  ]);
});

it("a gateway that keeps no history traces nothing, and forgets what there was", { timeout: 3 * LONG_MS }, async () => {
  const desk = await createDesk();
  const id = await desk.sent("bert@acme.test");
  await desk.line("message.finished", (one) => one["queueId"] === id);
  expect((await desk.sealpost("trace", id)).code).toBe(0);
  await desk.site.gateway().stop("test");
  await desk.configure({ queue: { retry: ["1h"], reserve: "1MiB" }, history: { keep: "0s" } });
  await desk.site.start();
  await eventually(async () => (await desk.sealpost("trace", id)).code === 1, LONG_MS);
  const other = await desk.sent("bert@acme.test");
  await desk.line("message.finished", (one) => one["queueId"] === other);
  const { code, error } = await desk.sealpost("trace", other);
  expect([code, error]).toEqual([1, expect.stringContaining("No history is kept")]);
});

it("the API needs the token for each of them", { timeout: 3 * LONG_MS }, async () => {
  const desk = await createDesk();
  const { address, port } = desk.site.gateway().admin;
  for (const [method, path] of [
    ["GET", "/api/v1/trace?query=bert@acme.test"],
    ["POST", "/api/v1/erase"],
    ["GET", "/api/v1/key"],
    ["POST", "/api/v1/key/rotate"],
  ] as const) {
    const answer = await fetch(`http://${address}:${port}${path}`, { method });
    expect([path, answer.status]).toEqual([path, 401]);
  }
});
