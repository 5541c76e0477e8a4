import { describe, expect, it } from "vitest";
import type { Events } from "../../../src/report/events.ts";
import { createLog, type Log } from "../../../src/report/log.ts";
import type { LogSettings } from "../../../src/report/settings.ts";
import type { Clock } from "../../../src/runtime/clock.ts";
import { deliveryFields } from "./fixtures.ts";

const noon: Clock = {
  now: () => Date.UTC(2026, 10, 25, 12, 0, 0, 7),
  monotonic: () => 0,
  sleep: () => Promise.resolve(),
  after: () => () => undefined,
};

function logTo(lines: string[], settings: Partial<LogSettings> = {}): Log {
  return createLog(
    { level: "info", addresses: "full", to: "stdout", ...settings },
    {
      clock: noon,
      gateway: "relay.example.org",
      worker: 1,
      hashKey: Buffer.alloc(32, 7),
      write: (line) => lines.push(line),
    },
  );
}

function logged<K extends keyof Events>(
  event: K,
  fields: Events[K],
  settings: Partial<LogSettings> = {},
): Record<string, unknown> {
  const lines: string[] = [];
  logTo(lines, settings).emit(event, fields);
  expect(lines).toHaveLength(1);
  return JSON.parse(lines[0] ?? "") as Record<string, unknown>;
}

const deferred = deliveryFields({
  outcome: "deferred",
  reason: "smtp-4xx",
  recipients: ["bea@acme.example", '"john doe"@acme.example'],
  smtp: { code: 450, text: "4.2.1 <bea@acme.example> over quota, ask postmaster@acme.example." },
  detail: "mx.acme.example answered 450 for bea@acme.example",
});

describe("a log line", () => {
  it("carries time, level, event, msg, gateway and worker before the event's own fields", () => {
    const line = logged("gateway.stopped", { reason: "SIGTERM" });
    expect(line).toEqual({
      level: "info",
      time: "2026-11-25T12:00:00.007Z",
      gateway: "relay.example.org",
      worker: 1,
      event: "gateway.stopped",
      reason: "SIGTERM",
      msg: "Stopped: SIGTERM",
    });
  });

  it("leaves out what is not known, at every depth", () => {
    const lines: string[] = [];
    logTo(lines).emit("delivery", deliveryFields({ mx: undefined, exception: undefined }));
    expect(lines[0]).not.toContain("undefined");
    expect(JSON.parse(lines[0] ?? "")).not.toHaveProperty("mx");
  });

  it.each([
    ["a delivered message", "delivered", "info"],
    ["a message that waits", "deferred", "warn"],
    ["a message that failed", "failed", "warn"],
  ] as const)("is for %s at level %s", (_, outcome, level) => {
    expect(logged("delivery", deliveryFields({ outcome }))["level"]).toBe(level);
  });

  it("is at level error for a defect", () => {
    expect(logged("error", { kind: "attempt", detail: "TypeError: x\n  at y" })).toMatchObject({
      level: "error",
      msg: "Error (attempt): TypeError: x",
      detail: "TypeError: x\n  at y",
    });
  });

  it("stays one line of printable characters whatever a peer says", () => {
    const lines: string[] = [];
    const text = 'a\r\n{"event":"delivery"}\u001b[2J\u009b2J\u007f\u0000\u2028\u202eb';
    logTo(lines).emit("delivery", deliveryFields({ smtp: { code: 550, text }, detail: text }));
    expect(lines[0]?.trimEnd()).toMatch(/^[\x20-\x7e]+$/);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ smtp: { text }, detail: text });
  });

  it("does not take a percent sign of a peer for a format", () => {
    expect(logged("gateway.stopped", { reason: "100 %s %o %d" })["msg"]).toBe("Stopped: 100 %s %o %d");
  });

  it("below the configured level is not written", () => {
    const lines: string[] = [];
    const log = logTo(lines, { level: "warn" });
    log.emit("gateway.stopped", { reason: "SIGTERM" });
    expect(lines).toEqual([]);
    log.use({ level: "info", addresses: "full", to: "stdout" });
    log.emit("gateway.stopped", { reason: "SIGTERM" });
    expect(lines).toHaveLength(1);
  });
});

describe("addresses", () => {
  it("are written whole when nothing else is configured", () => {
    expect(logged("delivery", deferred)).toMatchObject({
      recipients: deferred.recipients,
      smtp: deferred.smtp,
      messageId: "<1@example.org>",
    });
  });

  it.each(["domain", "hash"] as const)("appear nowhere in a line with addresses: %s", (addresses) => {
    const text = JSON.stringify(logged("delivery", deferred, { addresses }));
    for (const local of ["anna", "bea", "john", "postmaster"]) expect(text).not.toContain(local);
    expect(text).toContain("<1@example.org>");
  });

  it("leave their domain with addresses: domain, in fields, sentences and quoted replies", () => {
    expect(logged("delivery", deferred, { addresses: "domain" })).toMatchObject({
      sender: "@example.org",
      recipients: ["@acme.example", "@acme.example"],
      smtp: { text: "4.2.1 <@acme.example> over quota, ask @acme.example." },
      detail: "mx.acme.example answered 450 for @acme.example",
      domain: "acme.example",
    });
  });

  it("become equal hashes for equal addresses, letter case apart, under the gateway's own key", () => {
    const fields = deliveryFields({ recipients: ["bea@acme.example", "BEA@acme.example", "cem@acme.example"] });
    const [bea, again, cem] = logged("delivery", fields, { addresses: "hash" })["recipients"] as string[];
    expect(bea).toMatch(/^hmac:[0-9a-f]{32}$/);
    expect(again).toBe(bea);
    expect(cem).not.toBe(bea);
  });

  it.each([
    ["a null sender", "", ""],
    ["an address literal", "to <anna@[192.0.2.1]>", "to <@[192.0.2.1]>"],
    ["a quoted local part with an at sign", 'no "a@b"@acme.example here', "no @acme.example here"],
    ["two in a row", "anna@acme.example,bea@acme.example", "@acme.example,@acme.example"],
    ["a local part without a domain", "anna@ is unknown", "@ is unknown"],
    ["a lone at sign", "x @ y", "x @ y"],
    ["an internationalised one", "für ännä@müller.example da", "für @müller.example da"],
    ["a VERP sender", "list-anna=acme.example@lists.example", "@lists.example"],
  ])("are found in free text: %s", (_, text, expected) => {
    expect(logged("gateway.stopped", { reason: text }, { addresses: "domain" })["reason"]).toBe(expected);
  });

  it.each([
    ["at signs", "@".repeat(200_000)],
    ["letters", "a".repeat(200_000)],
    ["quotes", '"@'.repeat(100_000)],
    ["open literals", "a@[".repeat(60_000)],
    ["addresses", "a@b ".repeat(50_000)],
  ])("are looked for in linear time: 200 kB of %s", (_, text) => {
    const started = performance.now();
    logged("gateway.stopped", { reason: text }, { addresses: "domain" });
    expect(performance.now() - started).toBeLessThan(3_000);
  });
});
