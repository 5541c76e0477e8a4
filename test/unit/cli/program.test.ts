import { describe, expect, it } from "vitest";
import type { CliDeps, Gateway } from "../../../src/cli/deps.ts";
import { run, settings } from "./fake-deps.ts";

describe("exit codes [sysexits.h]", () => {
  it.each([
    [64, "an unknown command", ["statr"]],
    [64, "an unknown option", ["check", "--jsno"]],
    [64, "a word too many", ["check", "now"]],
    [64, "a word too few", ["explain"]],
    [64, "an option without its value", ["check", "-c"]],
    [64, "no command", []],
    [64, "a group without its command", ["queue"]],
    [64, "an address that is none", ["explain", "anna"]],
    [64, "a filter that does not fit", ["queue", "list", "--older-than", "yesterday"]],
    [64, "retry of nothing named", ["queue", "retry"]],
    [64, "hold of nothing named", ["queue", "hold"]],
    [64, "release of nothing named", ["queue", "release"]],
    [64, "bounce of nothing named", ["queue", "bounce", "--why", "x"]],
    [64, "bounce of everything", ["queue", "bounce", "--all"]],
    [64, "bounce by recipient", ["queue", "bounce", "--recipient", "bea@acme.example"]],
    [64, "reroute of nothing named", ["queue", "reroute", "--to", "mx"]],
    [64, "reroute to nowhere", ["queue", "reroute", "--domain", "acme.example"]],
    [64, "reroute to what is none", ["queue", "reroute", "--domain", "acme.example", "--to", "192.0.2.1"]],
    [64, "a list of none", ["queue", "list", "--limit", "0"]],
    [64, "a sender's domain that is none", ["queue", "list", "--sender", "@a b"]],
    [64, "a look at content without a reason", ["queue", "show", "0".repeat(32), "--content"]],
    [64, "remove without a reason", ["queue", "remove", "--domain", "acme.example"]],
    [64, "remove with two", ["queue", "remove", "--domain", "acme.example", "--reason", "a", "--why", "b"]],
    [64, "a domain that is none", ["dkim", "generate", "-x-"]],
    [64, "an algorithm that is none", ["dkim", "generate", "example.org", "--algorithm", "dsa"]],
    [64, "an RSA key that is too short", ["dkim", "generate", "example.org", "--bits", "1024"]],
    [64, "a selector that leads elsewhere", ["dkim", "generate", "example.org", "--selector", "../x"]],
    [64, "records of no domain", ["dkim", "show", "a..b"]],
    [64, "an import of nothing", ["smime", "import"]],
    [64, "an import for nobody", ["smime", "import", "x.pem", "--for", "bea"]],
    [64, "a request for nobody", ["smime", "request", "anna"]],
    [64, "a request for no domain", ["smime", "request", "@"]],
    [64, "a request of an unknown kind", ["smime", "request", "anna@example.org", "--algorithm", "dsa"]],
    [64, "a request for an address that no file can have", ["smime", "request", "a/b@example.org"]],
    [1, "records where there is no key", ["dkim", "show"]],
    [64, "remove of nothing named", ["queue", "remove", "--reason", "clean up"]],
    [1, "an id that cannot be one", ["queue", "show", "../etc/passwd"]],
    [1, "a profile that is not there", ["tls", "profiles", "bsi"]],
    [0, "help", ["--help"]],
    [0, "help of a group", ["smime", "--help"]],
    [0, "certificates where there are none", ["smime", "list"]],
    [0, "help of a command", ["queue", "list", "--help"]],
    [0, "the version as an option", ["--version"]],
    [0, "the version", ["version"]],
  ])("%i for %s", async (code, _, args) => {
    const ran = await run(args);
    expect(ran.code).toBe(code);
    if (code === 0) expect(ran.error).toBe("");
    else expect(ran.error).not.toBe("");
  });

  it.each(["report acme --from 2026-01-01", "queue migrate --to x"])(
    "64 for %s, which is known and not there yet",
    async (words) => {
      const ran = await run(words.split(" "));
      expect(ran).toMatchObject({ code: 64, out: "" });
      expect(ran.error).toMatch(/ is not available yet\.\n$/);
    },
  );

  it("78 for a configuration with problems, each with its place and its remedy", async () => {
    const problem = {
      file: "/etc/sealpost/partners/acme.yaml",
      line: 3,
      column: 5,
      message: "no such key",
      remedy: "write level",
    };
    const loadConfig: CliDeps["loadConfig"] = () => Promise.resolve({ ok: false, problems: [problem, problem] });
    for (const words of ["check", "explain a@b.example", "queue list", "reload"]) {
      const ran = await run(words.split(" "), { loadConfig });
      expect(ran).toMatchObject({ code: 78, out: "" });
      expect(ran.error).toContain("partners/acme.yaml:3:5: no such key\n    write level\n");
      expect(ran.error).toContain("2 problems");
    }
    const json = await run(["check", "--json"], { loadConfig });
    expect(JSON.parse(json.out)).toEqual({ ok: false, problems: [problem, problem] });
  });
});

describe("the configuration file", () => {
  it.each([
    ["is config/sealpost.yaml", ["check"], {}, "config/sealpost.yaml"],
    ["is that of the environment", ["check"], { SEALPOST_CONFIG: "/a.yaml" }, "/a.yaml"],
    ["is that of -c before all", ["check", "-c", "/b.yaml"], { SEALPOST_CONFIG: "/a.yaml" }, "/b.yaml"],
    ["may be named before the command", ["--config", "/b.yaml", "check"], {}, "/b.yaml"],
  ])("%s", async (_, args, env, expected) => {
    const asked: string[] = [];
    const loadConfig: CliDeps["loadConfig"] = (file) => {
      asked.push(file);
      return Promise.resolve({ ok: true, settings: settings(), warnings: [] });
    };
    await run(args, { env, loadConfig });
    expect(asked).toEqual([expected]);
  });
});

describe("start", () => {
  function gateway(log: string[]): Gateway {
    return {
      listeners: [{ name: "smarthost", direction: "outbound", address: "127.0.0.1", port: 2525 }],
      admin: { address: "127.0.0.1", port: 8025 },
      reload: () => Promise.resolve(void log.push("reload")).then(() => []),
      reopenLog: () => void log.push("reopen"),
      stop: (reason) => Promise.resolve(void log.push(`stop ${reason}`)),
    };
  }

  it("runs until SIGTERM, reloads at SIGHUP, and leaves standard output to the log", async () => {
    const log: string[] = [];
    const signals = new Map<string, () => void>();
    const running = run(["start"], {
      startGateway: () => Promise.resolve({ ok: true, gateway: gateway(log) }),
      onSignal: (signal, act) => void signals.set(signal, act),
    });
    await new Promise((resolve) => setImmediate(resolve));
    signals.get("SIGHUP")?.();
    signals.get("SIGTERM")?.();
    const ran = await running;
    expect(log).toEqual(["reopen", "reload", "stop SIGTERM"]);
    expect(ran).toMatchObject({ code: 0, out: "" });
    expect(ran.error).toContain("[127.0.0.1]:2525");
  });

  it("ends at the second signal without waiting for sessions", async () => {
    const signals = new Map<string, () => void>();
    const stuck: Gateway = { ...gateway([]), stop: () => new Promise(() => undefined) };
    const running = run(["start"], {
      startGateway: () => Promise.resolve({ ok: true, gateway: stuck }),
      onSignal: (signal, act) => void signals.set(signal, act),
    });
    await new Promise((resolve) => setImmediate(resolve));
    signals.get("SIGINT")?.();
    signals.get("SIGINT")?.();
    expect((await running).code).toBe(1);
  });

  it("stops a gateway that becomes ready after the signal", async () => {
    const log: string[] = [];
    let ready: (gateway: Gateway) => void = () => undefined;
    const running = run(["start"], {
      startGateway: () =>
        new Promise((resolve) => {
          ready = (gateway) => resolve({ ok: true, gateway });
        }),
      onSignal: (signal, act) => {
        if (signal === "SIGTERM") queueMicrotask(act);
      },
    });
    await new Promise((resolve) => setImmediate(resolve));
    ready(gateway(log));
    expect((await running).code).toBe(0);
    expect(log).toEqual(["stop signal during the start"]);
  });

  it.each([69, 78] as const)("passes on why it cannot, exit %i", async (exitCode) => {
    const ran = await run(["start"], {
      startGateway: () => Promise.resolve({ ok: false, exitCode, lines: ["The queue key is missing"] }),
    });
    expect(ran).toEqual({ code: exitCode, out: "", error: "The queue key is missing\n" });
  });
});
