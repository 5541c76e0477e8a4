/** Every queue action through the command line, on a running gateway and on a stopped one, with partners on loopback. */
import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { CliDeps } from "../../src/cli/deps.ts";
import { eventually } from "../contract/messages.ts";
import { createAuthority } from "../peers/certificates.ts";
import type { Line, Tree } from "../peers/gateway.ts";
import { type MxOptions, type MxServer, startMx } from "../peers/mx-server.ts";
import { run, type Ran } from "./cli-deps.ts";
import { createRig, goodMx, later, letter, type Rig, submit } from "./treatment-rig.ts";

const LONG_MS = 30_000;
const authority = createAuthority("ACME CA");
const certified = (name: string): MxOptions => {
  const { chain, key } = authority.issue({ names: [name] });
  return { hostname: name, tls: { certificate: chain, key } };
};
const NO_TLS: MxOptions = { hostname: "mx.acme.test", starttls: "absent" };

interface Desk extends Rig {
  /** Words of the command line, as they would be typed. */
  readonly sealpost: (words: readonly string[], over?: Partial<CliDeps>) => Promise<Ran>;
  /** Hands in one message, and waits until it waits; answers with its queue id. */
  readonly waiting: (recipient: string, from?: string) => Promise<string>;
  readonly listed: (...words: string[]) => Promise<readonly Tree[]>;
  readonly state: () => Promise<string>;
  readonly line: (event: string, matches?: (line: Line) => boolean) => Promise<Line>;
}

/** A gateway whose retries are an hour apart: what happens is our doing. acme.test has no TLS until it is mended. */
async function createDesk(settings: Tree = {}): Promise<Desk> {
  const rig = await createRig(NO_TLS);
  const { site } = rig;
  await rig.configure({ queue: { retry: ["1h"], reserve: "1MiB" }, ...settings });
  await site.start();
  const sealpost = (words: readonly string[], over: Partial<CliDeps> = {}): Promise<Ran> =>
    run(site.folder, [...words, "-c", join(site.folder, "config", "sealpost.yaml")], over);
  const listed = async (...words: string[]): Promise<readonly Tree[]> => {
    const { out, error } = await sealpost(["queue", "list", "--json", ...words]);
    expect(error).toBe("");
    return out.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Tree]));
  };
  return {
    ...rig,
    sealpost,
    listed,
    state: async () => (await listed()).map(({ state }) => String(state)).join(" "),
    waiting: async (recipient, from = "anna@example.org") => {
      const reply = await submit(site, { from, to: recipient, content: letter() });
      const [id = ""] = /[0-9a-f]{32}/.exec(reply) ?? [];
      await eventually(
        async () => (await listed()).some((one) => one["queueId"] === id && one["state"] === "waiting"),
        LONG_MS,
      );
      return id;
    },
    line: async (event, matches = () => true) => {
      const found = (): Line | undefined => site.log.find((one) => one.event === event && matches(one));
      await eventually(() => found() !== undefined, LONG_MS).catch(() => undefined);
      const one = found();
      if (one === undefined)
        throw new Error(`No ${event} in:\n${site.log.map((each) => JSON.stringify(each)).join("\n")}`);
      return one;
    },
  };
}

const complete = (mx: MxServer, recipient: string): number =>
  mx.messages.filter((one) => one.complete && one.recipients.join().includes(recipient)).length;

async function sink(options: MxOptions): Promise<MxServer> {
  const mx = await startMx(options);
  later(mx.close);
  return mx;
}

describe.each([
  ["running", false],
  ["stopped", true],
])("on a gateway that is %s", { timeout: 3 * LONG_MS }, (_, isStopped) => {
  /** The command, between a stop and a start where that is what is tested. */
  async function act(desk: Desk, ...words: string[]): Promise<Ran> {
    if (isStopped) await desk.site.gateway().stop("test");
    const ran = await desk.sealpost(["queue", ...words]);
    if (isStopped) await desk.site.start();
    if (isStopped) expect(ran.error).toContain("not in its log");
    else expect(ran.error).toBe("");
    return ran;
  }

  it("retry tries now what waits", async () => {
    const desk = await createDesk();
    const id = await desk.waiting("bert@acme.test");
    desk.mx.change(goodMx);
    expect(await act(desk, "retry", id)).toMatchObject({ code: 0, out: "1 delivery is tried again now.\n" });
    await eventually(() => complete(desk.mx, "bert@acme.test") === 1, LONG_MS);
  });

  it("hold keeps mail from being tried until release, whatever else happens to it", async () => {
    const desk = await createDesk();
    const id = await desk.waiting("bert@acme.test");
    const other = await desk.waiting("bert@other.test");
    desk.mx.change(goodMx);
    expect(await act(desk, "hold", "--domain", "acme.test", "--why", "legal asks")).toMatchObject({
      code: 0,
      out: "1 delivery is held until it is released.\n",
    });
    for (const action of ["retry", "hold"])
      expect(await desk.sealpost(["queue", action, id])).toMatchObject({
        code: 1,
        error: expect.stringContaining(`"${id}" is held`) as string,
      });
    expect((await desk.sealpost(["queue", "retry", "--all"])).code).toBe(0);
    await eventually(() => complete(desk.mx, "bert@other.test") === 1, LONG_MS);
    expect(await desk.listed()).toMatchObject([{ queueId: id, state: "held" }]);
    expect(complete(desk.mx, "bert@acme.test")).toBe(0);
    expect(other).not.toBe(id);
    expect(await act(desk, "release", "--sender", "@example.org")).toMatchObject({
      code: 0,
      out: "1 delivery is released and tried now.\n",
    });
    await eventually(() => complete(desk.mx, "bert@acme.test") === 1, LONG_MS);
  });

  it("bounce ends mail at once, and its sender is told by a notice that arrives", async () => {
    const desk = await createDesk();
    const id = await desk.waiting("bert@acme.test");
    expect(await act(desk, "bounce", id, "--why", "wrong address")).toMatchObject({
      code: 0,
      out: "1 delivery has failed, and the sender is told.\n",
    });
    const notice = (await desk.got("anna@example.org")).toString();
    expect(notice).toMatch(/^Final-Recipient: rfc822; bert@acme\.test\r\nAction: failed\r\nStatus: 5\.7\.1\r$/m);
    expect(notice).toContain("administrator of this gateway has ended");
    expect(notice).not.toContain("wrong address");
    await eventually(async () => (await desk.listed()).length === 0, LONG_MS);
    expect(complete(desk.mx, "bert@acme.test")).toBe(0);
    expect(complete(desk.mx, "anna@example.org")).toBe(1);
    const traced = async (): Promise<string> => (await desk.sealpost(["trace", id])).out;
    await eventually(async () => (await traced()).includes("ended: bert@acme.test failed"), LONG_MS);
    expect(await traced()).toContain("notice of failure to anna@example.org");
  });

  it("bounce tells nobody of mail that has the null sender [RFC 5321 §6.1]", async () => {
    const desk = await createDesk();
    await desk.waiting("bert@acme.test", "");
    await desk.waiting("bert@other.test");
    const ran = await act(desk, "bounce", "--reason", "starttls-not-supported");
    expect(ran).toMatchObject({ code: 0, out: "2 deliveries have failed, and their senders are told.\n" });
    await eventually(() => complete(desk.mx, "anna@example.org") === 1, LONG_MS);
    await eventually(async () => (await desk.listed()).length === 0, LONG_MS);
    expect(desk.mx.messages.filter((one) => one.complete)).toHaveLength(1);
  });

  it("remove ends mail, and nobody is told", async () => {
    const desk = await createDesk();
    const id = await desk.waiting("bert@acme.test");
    const other = await desk.waiting("bert@other.test");
    expect(await act(desk, "remove", id, "--reason", "sent twice")).toMatchObject({
      code: 0,
      out: "1 delivery is removed.\n",
    });
    expect((await desk.listed()).map(({ queueId }) => queueId)).toEqual([other]);
    expect(complete(desk.mx, "anna@example.org")).toBe(0);
  });

  it("reroute gives mail another next hop, which must prove what the first one should have", async () => {
    const desk = await createDesk();
    const [wrong, right] = [await sink(certified("someone.else.test")), await sink(certified("gate.acme.test"))];
    desk.dns.zones["gate.acme.test"] = { A: ["127.0.0.1"] };
    await desk.site.write("acme-ca.crt", authority.certificate);
    await desk.site.partner("acme", {
      domains: ["acme.test"],
      outbound: { tls: { level: "verify", ca: "../../acme-ca.crt" } },
    });
    expect((await desk.sealpost(["reload"])).code).toBe(0);
    const id = await desk.waiting("bert@acme.test");
    const to = (mx: MxServer): string => `[gate.acme.test]:${mx.port}`;
    expect(await act(desk, "reroute", id, "--to", to(wrong))).toMatchObject({
      code: 0,
      out: "1 delivery goes the new way now.\n",
    });
    await desk.line("delivery", (line) => line["reason"] === "certificate-host-mismatch");
    expect(wrong.verbs()).not.toContain("MAIL");
    await eventually(async () => (await desk.state()) === "waiting", LONG_MS);
    expect((await desk.sealpost(["queue", "show", id])).out).toContain(`${to(wrong)}, where a person`);
    await act(desk, "reroute", "--domain", "acme.test", "--to", to(right), "--why", "their gate is mended");
    await eventually(() => complete(right, "bert@acme.test") === 1, LONG_MS);
    expect(wrong.messages).toEqual([]);
    const told = await desk.line("delivery", (line) => line["outcome"] === "delivered");
    expect(told).toMatchObject({ route: "next-hop", partner: "acme", tls: { result: "authenticated" } });
  });

  it("reroute to policy takes the configured way again; what is held stays held", async () => {
    const desk = await createDesk();
    const id = await desk.waiting("bert@acme.test");
    const elsewhere = await sink(NO_TLS);
    await act(desk, "hold", id);
    await act(desk, "reroute", id, "--to", `[127.0.0.1]:${elsewhere.port}`);
    expect(await desk.listed()).toMatchObject([{ state: "held", route: `[127.0.0.1]:${elsewhere.port}` }]);
    expect(await act(desk, "reroute", id, "--to", "policy")).toMatchObject({ code: 0 });
    expect(await desk.listed()).toMatchObject([{ state: "held", route: null }]);
    desk.mx.change(goodMx);
    await act(desk, "release", id);
    await eventually(() => complete(desk.mx, "bert@acme.test") === 1, LONG_MS);
    expect(elsewhere.connections()).toBe(0);
  });
});

describe("who and why", { timeout: 2 * LONG_MS }, () => {
  const who = userInfo().username.slice(0, 64);

  it("is in the log with each action", async () => {
    const desk = await createDesk();
    const id = await desk.waiting("bert@acme.test");
    const why = "they asked for it";
    let tried = 1;
    for (const words of [["hold"], ["release"], ["retry"], ["reroute", "--to", "mx"], ["bounce"]]) {
      const [action = ""] = words;
      expect(await desk.sealpost(["queue", ...words, id, "--why", why])).toMatchObject({ code: 0 });
      expect(await desk.line("queue.action", (line) => line["action"] === action)).toMatchObject({
        matched: 1,
        reason: why,
        filter: { id },
      });
      const told = await desk.line("admin.action", (line) => line["action"] === `queue ${action}`);
      expect(told).toMatchObject({ address: "127.0.0.1", who, why });
      if (["hold", "bounce"].includes(action)) continue;
      tried += 1;
      const attempts = (): number => desk.site.log.filter(({ event }) => event === "delivery").length;
      await eventually(async () => attempts() === tried && (await desk.state()) === "waiting", LONG_MS);
    }
  });

  it("is in the log file also of what was done while the gateway was stopped", async () => {
    const desk = await createDesk({ log: { to: { file: "../gateway.log" } } });
    // The rig reads the log as values, so this gateway writes none to the file: the command alone does.
    const id = await desk.waiting("bert@acme.test");
    await desk.site.gateway().stop("test");
    expect(await desk.sealpost(["queue", "bounce", id, "--why", "wrong address"])).toMatchObject({
      code: 0,
      error: "",
    });
    const lines = (await readFile(join(desk.site.folder, "gateway.log"), "utf8")).trimEnd().split("\n");
    expect(lines.map((line) => JSON.parse(line) as Line)).toMatchObject([
      { event: "notice.queued", kind: "failure", about: id },
      { event: "message.finished", queueId: id, outcome: [{ recipient: "bert@acme.test", end: "failed" }] },
      { event: "queue.action", action: "bounce", matched: 1, reason: "wrong address" },
      { event: "admin.action", action: "queue bounce", address: "local", who, why: "wrong address" },
    ]);
  });
});

describe("show --content", { timeout: 2 * LONG_MS }, () => {
  const PERMITTED = { admin: { port: 0, content_access: true } };
  const why = ["--why", "the works council agreed"];

  it.each([
    ["a running", false],
    ["a stopped", true],
  ])("of %s gateway shows what a message says, octet for octet, and the look is logged", async (_, isStopped) => {
    const desk = await createDesk({ ...PERMITTED, log: { to: { file: "../gateway.log" } } });
    const id = await desk.waiting("bert@acme.test");
    if (isStopped) await desk.site.gateway().stop("test");
    const ran = await desk.sealpost(["queue", "show", id, "--content", ...why]);
    expect(ran).toMatchObject({ code: 0, error: "" });
    expect(ran.out).toMatch(/^Received: by relay\.example\.org /);
    expect(ran.out.endsWith(letter().slice(letter().indexOf("Subject:")))).toBe(true);
    const lines = isStopped
      ? (await readFile(join(desk.site.folder, "gateway.log"), "utf8"))
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line) as Line)
      : desk.site.log;
    expect(lines.filter(({ action }) => action === "queue content")).toMatchObject([
      {
        event: "admin.action",
        address: isStopped ? "local" : "127.0.0.1",
        who: userInfo().username,
        why: "the works council agreed",
        detail: `content 0 of ${id}`,
      },
    ]);
  });

  it.each([
    ["a running", false],
    ["a stopped", true],
  ])("of %s gateway is refused where nobody may look, and that is logged: exit 1", async (_, isStopped) => {
    const desk = await createDesk();
    const id = await desk.waiting("bert@acme.test");
    if (isStopped) await desk.site.gateway().stop("test");
    const ran = await desk.sealpost(["queue", "show", id, "--content", ...why]);
    expect(ran).toMatchObject({ code: 1, out: "" });
    expect(ran.error).toContain("admin.content_access");
    if (isStopped) expect(ran.error).toContain("Denied");
    else expect(await desk.line("admin.denied")).toMatchObject({ path: `content of ${id}` });
  });

  it("gives what a message says no power over the terminal", async () => {
    const desk = await createDesk(PERMITTED);
    const reply = await submit(desk.site, {
      to: "bert@acme.test",
      content: letter([], "one\ttab\r\n\u001b]0;owned\u0007\r\n"),
    });
    const [id = ""] = /[0-9a-f]{32}/.exec(reply) ?? [];
    let out = "";
    const stdout = { isTTY: true, write: (text: string | Uint8Array) => void (out += String(text)) };
    expect((await desk.sealpost(["queue", "show", id, "--content", ...why], { stdout })).code).toBe(0);
    expect(out).toContain("one\ttab\n\\u001b]0;owned\\u0007\n");
    expect(out).not.toContain("\u001b");
  });

  it("of a message that is not there is an answer of no", async () => {
    const desk = await createDesk(PERMITTED);
    expect(await desk.sealpost(["queue", "show", "f".repeat(32), "--content", ...why])).toMatchObject({
      code: 1,
      out: "",
    });
  });
});

describe("probe --release", { timeout: 2 * LONG_MS }, () => {
  it.each([
    ["a running", false],
    ["a stopped", true],
  ])("of %s gateway sends what waits once mail can go, and says how much", async (_, isStopped) => {
    const desk = await createDesk();
    await desk.waiting("bert@acme.test");
    await desk.waiting("carl@acme.test");
    const red = await desk.sealpost(["probe", "acme.test", "--release"]);
    expect(red.code).toBe(1);
    expect(red.out).not.toContain("due now");
    desk.mx.change(goodMx);
    if (isStopped) await desk.site.gateway().stop("test");
    const green = await desk.sealpost(["probe", "acme.test", "--release"]);
    expect(green.code).toBe(0);
    expect(green.out).toContain("2 deliveries are due now.\n");
    if (isStopped) await desk.site.start();
    await eventually(() => complete(desk.mx, "bert@acme.test") + complete(desk.mx, "carl@acme.test") === 2, LONG_MS);
  });
});

it("what is not there is an answer of no: exit 1", { timeout: 2 * LONG_MS }, async () => {
  const desk = await createDesk();
  for (const words of ["bounce", "hold", "release", "retry", "reroute --to mx", "remove --why x", "show"]) {
    const ran = await desk.sealpost(["queue", ...words.split(" "), "f".repeat(32)]);
    expect(ran).toMatchObject({ code: 1, out: "" });
  }
});

describe("a filter by a word that is none", { timeout: 2 * LONG_MS }, () => {
  it("is refused where it names a reason, and told of where it names a partner without a file", async () => {
    const desk = await createDesk();
    await desk.waiting("bert@acme.test");
    const reason = await desk.sealpost(["queue", "list", "--reason", "starttls-not-suported"]);
    expect(reason).toMatchObject({ code: 64, out: "" });
    expect(reason.error).toContain('"starttls-not-suported" does not fit reason');
    const partner = await desk.sealpost(["queue", "hold", "--partner", "acmee"]);
    expect(partner).toMatchObject({ code: 0, error: 'There is no partner file "acmee.yaml" (any more).\n' });
    expect(partner.out).toContain("0 deliveries");
    expect(await desk.state()).toBe("waiting");
  });
});
