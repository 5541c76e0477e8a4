/**
 * Real servers on both sides: swaks and Postfix hand mail in, a Postfix MX found by DNS takes it at level `secure`
 * under a private CA. What is asserted stands in the peers' logs and mailbox, beside the gateway's own log.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { startDnsServer } from "../peers/dns-server.ts";
import { createAuthority } from "./rig/certificates.ts";
import { createSite } from "./rig/gateway.ts";
import { awkwardMessage, withoutTrace } from "./rig/mail.ts";
import { asMx, asSender, startPostfix } from "./rig/postfix.ts";
import { freePort } from "./rig/processes.ts";
import { swaks } from "./rig/swaks.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

const ADDRESS = "127.0.0.11";

async function gatewayAndMx() {
  const folder = await bench.folder("ca");
  const authority = await createAuthority(folder);
  const own = await authority.issue(["relay.own.test"], { key: "rsa" });
  const mxCredential = await authority.issue(["mx.partner.test"]);
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
    parameters: asMx(["partner.test"], mxCredential),
  });
  const site = await createSite(bench, {
    tls: { certificates: [own] },
    dns: { resolvers: [`127.0.0.1:${dns.port}`] },
    delivery: { port },
  });
  await site.partner("partner", {
    name: "Partner",
    domains: ["partner.test"],
    outbound: { tls: { level: "secure", ca: authority.certificate } },
  });
  return { folder, authority, mx, gateway: await site.start() };
}

it("relays swaks' message byte for byte to a Postfix MX it has proven, over TLS 1.3 on both legs", async () => {
  const { folder, authority, mx, gateway } = await gatewayAndMx();
  const message = awkwardMessage("marker-by-swaks", "bernd@partner.test");
  const file = join(folder, "message.eml");
  await writeFile(file, message.subarray(0, -1)); // swaks ends the last line itself

  const sent = await swaks({
    port: gateway.port(),
    more: ["--tls", "--tls-verify", "--tls-ca-path", authority.certificate, "--data", `@${file}`],
  });

  expect(sent.code, sent.transcript).toBe(0);
  const [arrived = Buffer.alloc(0)] = await mx.received(1);
  const { trace, content } = withoutTrace(arrived);
  expect(content.toString("latin1")).toBe(message.toString("latin1"));
  expect(trace.filter((field) => /^Received:/i.test(field)).length).toBe(2); // the MX's and ours
  await mx.logged(/TLS connection established from \S+: TLSv1\.3 with cipher/);
  const accepted = await gateway.logged("message.accepted");
  expect(accepted).toMatchObject({ queueId: sent.queueId, client: { tls: { version: "TLSv1.3" } } });
  const delivery = await gateway.logged("delivery");
  expect(delivery).toMatchObject({
    queueId: sent.queueId,
    outcome: "delivered",
    route: "mx",
    partner: "partner",
    recipients: ["bernd@partner.test"],
    mx: { host: "mx.partner.test", address: ADDRESS, port: mx.port },
    tls: {
      demanded: "secure",
      demandedBy: ["partner"],
      result: "authenticated",
      version: "TLSv1.3",
      authenticatedBy: "private-ca",
      peer: { names: ["mx.partner.test"] },
    },
    smtp: { code: 250 },
  });
  expect(await gateway.logged("message.finished")).toMatchObject({ queueId: sent.queueId, shredded: true });
});

it("relays the message of a Postfix whose smarthost it is, which has proven the gateway in turn", async () => {
  const { authority, mx, gateway } = await gatewayAndMx();
  const sender = await startPostfix(bench, {
    name: "sender",
    address: "127.0.0.12",
    port: await freePort("127.0.0.12"),
    parameters: asSender({ port: gateway.port(), ca: authority.certificate, name: "relay.own.test" }),
  });
  const message = awkwardMessage("marker-by-postfix", "bernd@partner.test");

  await sender.submit("anna@own.test", ["bernd@partner.test", "carla@partner.test"], message);

  const [first = Buffer.alloc(0)] = await mx.received(1);
  expect(withoutTrace(first).content.toString("latin1")).toBe(message.toString("latin1"));
  await sender.logged(/Verified TLS connection established to 127\.0\.0\.1\S+: TLSv1\.3 with cipher/);
  await mx.logged(/TLS connection established from \S+: TLSv1\.3 with cipher/);
  const delivery = await gateway.logged("delivery", ({ outcome }) => outcome === "delivered");
  expect(delivery["recipients"]).toEqual(["bernd@partner.test", "carla@partner.test"]);
  expect(delivery).toMatchObject({ tls: { result: "authenticated", version: "TLSv1.3" } });
  await sender.logged(/status=sent \(250 2\.0\.0 [0-9a-f]+ queued\)/);
});
