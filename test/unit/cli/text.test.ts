import { describe, expect, it } from "vitest";
import type { QueueEntry } from "../../../src/admin/queue-entry.ts";
import type { QueueTotals } from "../../../src/store/queue.ts";
import type { CliDeps } from "../../../src/cli/deps.ts";
import { printEntries, printEntry } from "../../../src/cli/queue-text.ts";
import { duration, exactDuration, fitted, painter, printable, size, table, wrapped } from "../../../src/cli/text.ts";
import { NOW } from "./fake-deps.ts";

describe("text for people", () => {
  it("shows control characters and direction marks of others instead of obeying them", () => {
    expect(printable("a\u001b[2J\r\n\u009b\u202eb\u0000")).toBe("a\\u001b[2J\\u000d\\u000a\\u009b\\u202eb\\u0000");
  });

  it.each([
    [0, "now"],
    [-5, "now"],
    [59_999, "59s"],
    [3_600_000, "1h"],
    [129_600_000, "1d"],
  ])("tells %i ms as %s", (ms, text) => expect(duration(ms)).toBe(text));

  it.each([
    [129_600_000, "36h"],
    [432_000_000, "5d"],
    [1_500, "1500ms"],
  ])("tells a configured %i ms without loss as %s", (ms, text) => expect(exactDuration(ms)).toBe(text));

  it.each([
    [1_023, "1023 B"],
    [4_403, "4.3 KiB"],
    [52_428_800, "50.0 MiB"],
    [1_072_693_248, "1023.0 MiB"],
    [1_073_741_823, "1.0 GiB"],
    [1_073_741_824, "1.0 GiB"],
    [53_687_091_200, "50.0 GiB"],
  ])("tells %i octets as %s", (octets, text) => expect(size(octets)).toBe(text));

  it("aligns columns by what is seen, colour apart", () => {
    expect(
      table([
        ["\u001b[1mab\u001b[22m", "c"],
        ["abcd", "e"],
      ]),
    ).toEqual(["\u001b[1mab\u001b[22m    c", "abcd  e"]);
  });

  it("is cut and coloured on a terminal only, and not where NO_COLOR is set", () => {
    const terminal = { write: () => undefined, isTTY: true, columns: 10 };
    const pipe = { write: () => undefined };
    expect(fitted("0123456789ab", terminal)).toBe("012345678…");
    expect(fitted("0123456789ab", pipe)).toBe("0123456789ab");
    expect(painter(terminal, {})("bold", "x")).not.toBe("x");
    expect(painter(terminal, { NO_COLOR: "1" })("bold", "x")).toBe("x");
    expect(painter(pipe, {})("bold", "x")).toBe("x");
  });

  it("is broken at blanks and indented", () => {
    const terminal = { write: () => undefined, isTTY: true, columns: 40 };
    expect(wrapped("aaaaaaaaaa bbbbbbbbbb cccccccccc dddddddddd", terminal, 4).split("\n")).toEqual([
      "aaaaaaaaaa bbbbbbbbbb cccccccccc",
      "    dddddddddd",
    ]);
  });
});

function entry(over: Partial<QueueEntry> = {}): QueueEntry {
  return {
    queueId: "0123456789abcdef0123456789abcdef",
    delivery: "0123456789abcdef0123456789abcdef-0",
    state: "waiting",
    sender: "anna@example.org",
    recipients: ["bea@acme.example"],
    domain: "acme.example",
    partner: "acme",
    step: 0,
    fallback: null,
    requireTls: false,
    demands: {},
    size: 4_403,
    received: new Date(NOW - 7_200_000).toISOString(),
    attempts: 3,
    nextAttempt: new Date(NOW + 600_000).toISOString(),
    expires: new Date(NOW + 86_400_000).toISOString(),
    reason: "certificate-expired",
    detail: "the certificate of mx.acme.example has expired",
    messageId: "<1@example.org>",
    listener: "smarthost",
    client: { address: "127.0.0.1", port: 1, helo: "exch01", via: "network" },
    route: null,
    content: 0,
    cursor: "#1",
    ...over,
  };
}

function printed(print: (deps: CliDeps) => void): string {
  let out = "";
  print({
    stdout: { write: (text: string) => void (out += text) },
    env: {},
    clock: { now: () => NOW },
  } as unknown as CliDeps);
  return out;
}

const totals: QueueTotals = {
  deliveries: 3,
  messages: 2,
  size: 13_209,
  byDomain: [
    { domain: "acme.example", deliveries: 2 },
    { domain: "b.example", deliveries: 1 },
  ],
  byReason: [
    { reason: "certificate-expired", deliveries: 2 },
    { reason: null, deliveries: 1 },
  ],
  byState: { waiting: 2, leased: 0, held: 1, parked: 0 },
  lanes: ["acme.example", "b.example"],
};

describe("the queue for people", () => {
  it("shows age, size, partner, reason, next try and last answer, and totals", () => {
    const out = printed((deps) =>
      printEntries(
        deps,
        [
          entry(),
          entry(),
          entry({ queueId: "f".repeat(32), domain: "b.example", partner: null, reason: null, detail: null }),
        ],
        totals,
      ),
    );
    expect(out).toMatch(
      /0123456789abcdef0123456789abcdef +2h +4\.3 KiB +acme\.example +acme +certificate-expired +10m\n/,
    );
    expect(out).toContain("anna@example.org to bea@acme.example: the certificate of mx.acme.example has expired\n");
    expect(out).toContain("3 deliveries of 2 messages, 13 KiB, 1 held\n");
    expect(out).not.toContain("more");
    expect(out).toMatch(
      /by destination\n {2}acme\.example +2\n {2}b\.example +1\nby reason\n {2}certificate-expired +2\n {2}not tried yet +1\n/,
    );
  });

  it("says how many there are beyond those shown, and how many destinations", () => {
    const byDomain = Array.from({ length: 1_040 }, (_, at) => ({ domain: `d${at}.example`, deliveries: 96 }));
    const out = printed((deps) => printEntries(deps, [entry()], { ...totals, deliveries: 99_901, byDomain }));
    expect(out).toContain("… and 99,900 more (--limit NUMBER, or --json for all)\n");
    expect(out).toContain("99,901 deliveries of 2 messages");
    expect(out).toContain("  … and 1,015 more\n");
  });

  it("says so when nothing waits", () => {
    expect(printed((deps) => printEntries(deps, [], { ...totals, deliveries: 0 }))).toBe("Nothing waits.\n");
  });

  it("gives a peer's answer no power over the terminal", () => {
    const hostile = entry({ detail: "550 \u001b]0;owned\u0007\r\nnothing waits" });
    expect(printed((deps) => printEntries(deps, [hostile], totals))).not.toMatch(/[\u001b\u0007\r]/);
    expect(printed((deps) => printEntry(deps, hostile))).not.toMatch(/[\u001b\u0007\r]/);
  });

  it("shows all there is to one delivery", () => {
    const out = printed((deps) => printEntry(deps, entry({ sender: "" })));
    expect(out).toMatch(/from +<> \(null sender\)/);
    expect(out).toMatch(/client +127\.0\.0\.1 \(exch01\), permitted by network, in clear/);
    expect(out).toMatch(/attempts +3\n/);
    expect(out).not.toContain("ladder");
  });

  it("says what the message demands itself, or its reason would be a riddle where its policy is met", () => {
    const shown = (over: Partial<QueueEntry>) =>
      printed((deps) => printEntry(deps, entry(over))).replaceAll(/\s+/g, " ");
    expect(shown({})).not.toContain("demands");
    expect(shown({ requireTls: true })).toContain("demands REQUIRETLS: level authenticated, in addition message-id");
    const rules = [{ name: "confidential", tls: { level: "secure" as const } }];
    expect(shown({ demands: { rules, tlsRequiredNo: true } })).toContain(
      "demands rule confidential: level secure, in addition; TLS-Required: No, which counts where tls_required_no is honour message-id",
    );
  });

  it("says which step of the ladder is in force, and what the S/MIME step has made it of", () => {
    const shown = (over: Partial<QueueEntry>) =>
      printed((deps) => printEntry(deps, entry(over))).replaceAll(/\s+/g, " ");
    expect(shown({ step: 2 })).toContain("ladder 2 steps of on_expiry taken ");
    const fallback = { of: "f".repeat(32), approvedBy: "boss@example.org" };
    const made = `ladder made of ${fallback.of} by S/MIME after its time had passed, approved by boss@example.org`;
    expect(shown({ fallback })).toContain(`${made} `);
    expect(shown({ fallback, step: 1 })).toContain(`${made}; 1 step of on_expiry taken`);
  });
});
