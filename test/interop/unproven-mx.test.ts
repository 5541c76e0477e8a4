/**
 * The same MX, wrong in one way each: the message waits with the reason named, the MX's own record shows nothing of
 * it, and once MX or partner file is mended the same message arrives without a restart.
 */
import { afterEach, expect, it } from "vitest";
import { startDnsServer } from "../peers/dns-server.ts";
import { type Authority, type Credential, createAuthority, fingerprintOf, selfSigned } from "./rig/certificates.ts";
import { createSite, type Tree } from "./rig/gateway.ts";
import { asMx, startPostfix, TLS_1_1_ONLY, TLS_AS_USUAL, tlsServer } from "./rig/postfix.ts";
import { alive, freePort } from "./rig/processes.ts";
import { swaks } from "./rig/swaks.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

const ADDRESS = "127.0.0.11";

interface Case {
  readonly fault: string;
  readonly reason: string;
  readonly broken: (made: Made) => Promise<Record<string, string>>;
  /** Parameters that mend the MX, or the partner's `tls` that accepts it as it is. */
  readonly mend: (made: Made) => Promise<{ mx: Record<string, string> } | { partner: Tree }>;
}

interface Made {
  readonly folder: string;
  readonly authority: Authority;
  readonly good: Credential;
}

const goodMx = async ({ good }: Made) => ({ mx: { ...tlsServer(good), ...TLS_AS_USUAL } });
let pinned: Credential | undefined;

const CASES: readonly Case[] = [
  {
    fault: "offers no STARTTLS",
    reason: "starttls-not-supported",
    broken: async () => tlsServer(undefined),
    mend: goodMx,
  },
  {
    fault: "has an expired certificate",
    reason: "certificate-expired",
    broken: async ({ authority }) => tlsServer(await authority.issue(["mx.partner.test"], { expired: true })),
    mend: goodMx,
  },
  {
    fault: "speaks TLS 1.1 only",
    reason: "tls-parameters-too-weak",
    broken: async ({ good }) => ({ ...tlsServer(good), ...TLS_1_1_ONLY }),
    mend: goodMx,
  },
  {
    fault: "has a certificate for another name",
    reason: "certificate-host-mismatch",
    broken: async ({ authority }) => tlsServer(await authority.issue(["mx.hoster.test"])),
    mend: async ({ authority }) => ({
      partner: { level: "secure", ca: authority.certificate, match: ["nexthop", "mx.hoster.test"] },
    }),
  },
  {
    fault: "has a self-signed certificate",
    reason: "certificate-not-trusted",
    broken: async ({ folder }) => tlsServer((pinned = await selfSigned(folder, "mx.partner.test"))),
    mend: async () => ({
      partner: { level: "fingerprint", fingerprints: [{ sha256: pinned && fingerprintOf(pinned), of: "certificate" }] },
    }),
  },
];

it.each(CASES)("keeps the message while the MX $fault, and delivers it when that is mended", async (one) => {
  const folder = await bench.folder("ca");
  const authority = await createAuthority(folder);
  const made = { folder, authority, good: await authority.issue(["mx.partner.test"]) };
  const port = await freePort(ADDRESS);
  const dns = await startDnsServer({
    "partner.test": { MX: ["10 mx.partner.test"] },
    "mx.partner.test": { A: [ADDRESS] },
  });
  bench.atEnd(dns.close);
  const mx = await startPostfix(bench, {
    name: "mx",
    address: ADDRESS,
    port,
    parameters: { ...asMx(["partner.test"]), ...(await one.broken(made)) },
  });
  const site = await createSite(bench, {
    dns: { resolvers: [`127.0.0.1:${dns.port}`] },
    delivery: { port },
    queue: { retry: ["1h"] },
  });
  const partner = (tls: Tree) =>
    site.partner("partner", { name: "Partner", domains: ["partner.test"], outbound: { tls } });
  await partner({ level: "secure", ca: authority.certificate });
  const gateway = await site.start();

  const { code, queueId, transcript } = await swaks({ port: gateway.port(), more: ["--header", "Subject: secret"] });
  expect(code, transcript).toBe(0);
  const deferred = await gateway.logged("delivery");
  expect(deferred).toMatchObject({ queueId, outcome: "deferred", reason: one.reason, attempt: 1 });
  const tried = await site.command("queue", "retry", "--all");
  expect(tried.code, tried.stderr).toBe(0);
  await gateway.logged("delivery", ({ attempt }) => attempt === 2);
  await mx.logged(/(?: disconnect from [^\n]*\n[^]*){2}/);
  expect(crossed(mx.sessions())).toEqual([]);
  expect(mx.log()).not.toMatch(/secret|client=|from=</);
  expect(await mx.mailbox()).toEqual([]);

  const mended = await one.mend(made);
  if ("mx" in mended) await mx.configure(mended.mx);
  else {
    await partner(mended.partner);
    gateway.reload();
    await gateway.logged("config.reloaded");
  }
  expect((await site.command("queue", "retry", "--domain", "partner.test")).code).toBe(0);
  const delivered = await gateway.logged("delivery", ({ outcome }) => outcome === "delivered");
  expect(delivered).toMatchObject({ queueId, attempt: 3, tls: { result: "authenticated" } });
  expect((await mx.received(1)).length).toBe(1);
  expect(alive(gateway.pid)).toBe(true);
  expect(gateway.log.filter(({ event }) => event === "gateway.started").length).toBe(1);
});

/** What the MX counted in its sessions besides EHLO, STARTTLS and QUIT. */
function crossed(sessions: readonly string[]): string[] {
  const counted = sessions.flatMap((session) => session.split(" ").map((pair) => pair.split("=")[0] ?? ""));
  return counted.filter((verb) => !["ehlo", "starttls", "quit", "commands"].includes(verb));
}
