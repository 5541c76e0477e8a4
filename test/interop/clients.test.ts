/** Who may relay, tried with swaks and HAProxy: for each way to prove it, one who may and one who may not. */
import { randomBytes, scryptSync } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { createAuthority } from "./rig/certificates.ts";
import { createSite, type Tree } from "./rig/gateway.ts";
import { startHaproxy } from "./rig/haproxy.ts";
import { eventually } from "./rig/processes.ts";
import { startSink } from "./rig/sink.ts";
import { swaks } from "./rig/swaks.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

/** A gateway with this listener in front of an MX that takes all. */
async function gatewayWith(listener: (authorityFile: string) => Tree) {
  const authority = await createAuthority(await bench.folder("ca"));
  const sink = await startSink(bench, {
    address: "127.0.0.21",
    credential: await authority.issue(["mx.partner.test"]),
  });
  const site = await createSite(bench, {
    tls: { certificates: [await authority.issue(["relay.own.test"])] },
    domains: [{ domain: ["own.test"], next_hop: `[${sink.address}]:${sink.port}` }],
    listeners: [
      { name: "smarthost", direction: "outbound", address: "127.0.0.1", port: 0, ...listener(authority.certificate) },
    ],
  });
  await site.partner("partner", {
    name: "Partner",
    domains: ["partner.test"],
    outbound: { next_hop: `[${sink.address}]:${sink.port}`, tls: { level: "encrypt" } },
  });
  return { authority, sink, site };
}

it("relays for a user who proves the password over TLS, for permitted senders only", async () => {
  const { sink, site } = await gatewayWith(() => ({ auth: { users_file: "../users" } }));
  await writeFile(join(site.folder, "users"), usersLine("anna", "right horse", "anna@own.test"), { mode: 0o600 });
  const gateway = await site.start();
  const as = (password: string) => ["--auth", "PLAIN", "--auth-user", "anna", "--auth-password", password];

  const allowed = await swaks({ port: gateway.port(), more: ["--tls", ...as("right horse")] });
  expect(allowed.code, allowed.transcript).toBe(0);
  await eventually("the message at the MX", () => sink.arrivals.length === 1);
  expect(await gateway.logged("message.accepted")).toMatchObject({ client: { via: "auth", user: "anna" } });

  const wrong = await swaks({ port: gateway.port(), more: ["--tls", ...as("wrong")] });
  expect(wrong.code, wrong.transcript).toBe(28);
  expect(wrong.refusals[0]).toMatch(/^535 5\.7\.8 /);
  const inClear = await swaks({ port: gateway.port(), more: as("right horse") });
  expect(inClear.code, inClear.transcript).toBe(28);
  expect(inClear.transcript).not.toMatch(/^ -> AUTH/m);
  const none = await swaks({ port: gateway.port(), more: ["--tls"] });
  expect(none.refusals[0]).toMatch(/^550 5\.7\.1 /);
  const other = await swaks({ port: gateway.port(), from: "boss@own.test", more: ["--tls", ...as("right horse")] });
  expect(other.refusals[0]).toMatch(/^550 5\.7\.1 /);
  expect(sink.arrivals.length).toBe(1);
});

it("relays for the holder of a named client certificate, not of another name or another CA", async () => {
  const { authority, sink, site } = await gatewayWith((ca) => ({
    client_certificates: { ca, names: ["exch01.own.test"] },
  }));
  const gateway = await site.start();
  const foreign = await createAuthority(await bench.folder("foreign"));
  const as = ({ certificate, key }: { certificate: string; key: string }) =>
    swaks({ port: gateway.port(), more: ["--tls", "--tls-cert", certificate, "--tls-key", key] });

  const allowed = await as(await authority.issue(["exch01.own.test"], { client: true }));
  expect(allowed.code, allowed.transcript).toBe(0);
  await eventually("the message at the MX", () => sink.arrivals.length === 1);
  expect(await gateway.logged("message.accepted")).toMatchObject({ client: { via: "certificate" } });

  for (const credential of [
    await authority.issue(["exch02.own.test"], { client: true }),
    await foreign.issue(["exch01.own.test"], { client: true }),
    await authority.issue(["exch01.own.test"], { client: true, expired: true }),
  ]) {
    const refused = await as(credential);
    expect(refused.refusals[0], refused.transcript).toMatch(/^550 5\.7\.1 /);
  }
  expect(sink.arrivals.length).toBe(1);
});

it("believes XCLIENT from a named network only, and judges the address it announces", async () => {
  const { sink, site } = await gatewayWith(() => ({ xclient: ["127.0.0.2/32"], clients: ["10.9.9.0/24"] }));
  const gateway = await site.start();
  const from = (source: string, announced: string) =>
    swaks({ port: gateway.port(), more: ["--local-interface", source, "--xclient-addr", announced] });

  const allowed = await from("127.0.0.2", "10.9.9.9");
  expect(allowed.code, allowed.transcript).toBe(0);
  await eventually("the message at the MX", () => sink.arrivals.length === 1);
  expect(await gateway.logged("message.accepted")).toMatchObject({ client: { address: "10.9.9.9" } });

  const announced = await from("127.0.0.2", "10.8.8.8");
  expect(announced.refusals[0], announced.transcript).toMatch(/^550 5\.7\.1 /);
  const unlisted = await from("127.0.0.3", "10.9.9.9");
  expect(unlisted.code, unlisted.transcript).not.toBe(0);
  expect(unlisted.transcript).not.toMatch(/XCLIENT NAME|250-XCLIENT/);
  expect(sink.arrivals.length).toBe(1);
});

it.each(["v1", "v2"] as const)("judges the client a real HAProxy announces by PROXY %s", async (version) => {
  const { sink, site } = await gatewayWith(() => ({ proxy_protocol: ["127.0.0.9/32"], clients: ["127.0.0.50/32"] }));
  const gateway = await site.start();
  const proxy = await startHaproxy(bench, { port: gateway.port(), source: "127.0.0.9" });
  const from = (source: string, port: number) => swaks({ port, more: ["--local-interface", source] });

  const allowed = await from("127.0.0.50", proxy[version]);
  expect(allowed.code, allowed.transcript).toBe(0);
  await eventually("the message at the MX", () => sink.arrivals.length === 1);
  expect(await gateway.logged("message.accepted")).toMatchObject({ client: { address: "127.0.0.50" } });

  const refused = await from("127.0.0.60", proxy[version]);
  expect(refused.refusals[0], refused.transcript).toMatch(/^550 5\.7\.1 /);
  const stranger = await startHaproxy(bench, { port: gateway.port(), source: "127.0.0.8" });
  const unlisted = await from("127.0.0.50", stranger[version]);
  expect(unlisted.code, unlisted.transcript).not.toBe(0);
  const headerless = await swaks({ port: gateway.port(), more: ["--local-interface", "127.0.0.9", "--timeout", "3"] });
  expect(headerless.code, headerless.transcript).not.toBe(0);
  expect(sink.arrivals.length).toBe(1);
});

/** A line as `users add` makes it. */
function usersLine(name: string, password: string, senders: string): string {
  const salt = randomBytes(16);
  const key = scryptSync(password, salt, 32, { N: 16_384, r: 8, p: 1 });
  return `${name} scrypt:16384:8:1:${salt.toString("base64")}:${key.toString("base64")} ${senders}\n`;
}
