/** How a probe looks: colour on a terminal only, within its width, and harmless whatever peers and DNS said. */
import { stripVTControlCharacters } from "node:util";
import { describe, expect, it } from "vitest";
import type { CliDeps } from "../../../src/cli/deps.ts";
import type { ProbedHost, ProbeReport } from "../../../src/report/probe-report.ts";
import { run } from "./fake-deps.ts";

const host: ProbedHost = {
  host: "mx.acme.example",
  address: "192.0.2.1",
  port: 25,
  route: "mx",
  dnssec: { mx: "secure", address: "secure", canonical: "mx.acme.example" },
  dane: { status: "usable", base: "mx.acme.example", records: [{ text: "3 1 1 abcd", matches: true }] },
  mtaSts: { status: "absent" },
  withinAttempt: true,
  starttls: "offered",
  tls: {
    version: "TLSv1.3",
    cipher: "TLS_AES_256_GCM_SHA384",
    chain: [
      {
        subject: "CN=mx.acme.example",
        names: ["mx.acme.example"],
        issuer: "CN=Acme CA",
        notBefore: "2026-11-01T00:00:00.000Z",
        notAfter: "2027-01-31T00:00:00.000Z",
        keyType: "ec",
        keyBits: 256,
        sha256: "aa",
        spkiSha256: "bb",
      },
    ],
  },
  verdict: { authenticatedBy: "dane-ee", matched: "TLSA 3 1 1", trusted: false },
};

const report: ProbeReport = {
  domain: "acme.example",
  at: "2026-11-25T12:00:00.000Z",
  ok: true,
  level: "dane-only",
  levelOrigin: { file: "/etc/sealpost/partners/acme.yaml", line: 4, column: 5 },
  partner: "acme",
  source: "partner",
  hosts: [host],
  unresolved: [],
};

async function shown(given: ProbeReport, over: Partial<CliDeps> = {}, words: readonly string[] = []) {
  const seen = { out: "" };
  const openOutside = () => ({ probe: () => Promise.resolve(given), close: () => Promise.resolve() }) as never;
  const stdout = { write: (text: string | Uint8Array) => void (seen.out += String(text)), ...over.stdout };
  const { code } = await run(["probe", "acme.example", ...words], { openOutside, ...over, stdout });
  return { code, out: seen.out };
}

const terminal = (columns: number) => ({ isTTY: true, columns }) as unknown as CliDeps["stdout"];

describe("a probe", () => {
  it("is plain text where nobody sees colour", async () => {
    const { code, out } = await shown(report);
    expect(code).toBe(0);
    expect(out).toBe(`acme.example
  level     dane-only, by partner acme  (partners/acme.yaml:4:5)

mx.acme.example (192.0.2.1 port 25)  passes
  DNSSEC    MX secure, addresses secure
  TLSA      match 3 1 1 abcd
  MTA-STS   none published
  STARTTLS  offered
  session   TLSv1.3, TLS_AES_256_GCM_SHA384
  chain     1 CN=mx.acme.example for mx.acme.example, ec 256, 2026-11-01 to 2027-01-31, issued by
            CN=Acme CA
  verdict   authenticated by dane-ee: TLSA 3 1 1

Mail can go: mx.acme.example would take it.
`);
  });

  it("has colour on a terminal, and the same words", async () => {
    const plain = (await shown(report)).out;
    const { out } = await shown(report, { stdout: terminal(100) });
    expect(out).toContain("\u001b[32m");
    expect(stripVTControlCharacters(out)).toBe(plain);
    const without = await shown(report, { stdout: terminal(100), env: { NO_COLOR: "1" } });
    expect(without.out).toBe(plain);
  });

  it("fits the terminal", async () => {
    const detail = "word ".repeat(60).trim();
    const problem = { kind: "deferred", reason: "connection-failed", detail, remedy: detail } as const;
    const { verdict: _, ...rest } = host;
    const bad = { ...report, ok: false, problem, hosts: [{ ...rest, problem }] };
    const { code, out } = await shown(bad, { stdout: terminal(60), env: { NO_COLOR: "1" } });
    expect(code).toBe(1);
    for (const line of out.split("\n").filter((text) => !text.includes("(partners/")))
      expect(line.length).toBeLessThanOrEqual(60);
  });

  it("obeys no control character of a peer, of DNS or of a certificate", async () => {
    const evil = "\u001b]0;owned\u0007\u202e";
    const text = JSON.stringify({ ...report, hosts: [{ ...host, transcript: [{ from: "peer", text: "TEXT" }] }] });
    const poisoned = JSON.parse(text, (key: string, value: unknown) =>
      ["subject", "issuer", "matched", "cipher", "host", "text", "canonical"].includes(key) && typeof value === "string"
        ? `${value}${evil}`
        : value,
    ) as ProbeReport;
    const { out } = await shown(poisoned);
    expect(out).toContain("\\u001b");
    expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  it("is one object for machines, with nothing beside it", async () => {
    const { out } = await shown(report, {}, ["--json"]);
    expect(JSON.parse(out)).toEqual(report);
  });

  it("tells of next hops without hosts, and of what fails for good", async () => {
    const problem = { kind: "failed", reason: "null-mx", detail: "It takes no mail", remedy: "Nothing." } as const;
    const unresolved = [{ nextHop: "acme.example", reason: "null-mx", detail: "It takes no mail" }] as const;
    const { code, out } = await shown({ ...report, ok: false, problem, hosts: [], unresolved });
    expect(code).toBe(1);
    expect(out).toMatch(/\nacme\.example {2}has no host to try\n {2}reason +null-mx: It takes no mail\n/);
    expect(out).toMatch(/\nMail fails: null-mx\n {2}why +null-mx: It takes no mail\n {2}to do +Nothing\.\n$/);
  });
});
