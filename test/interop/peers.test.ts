/**
 * The rig tells the truth: without the gateway, straight to the peers. A record that could not show a leak,
 * or a certificate that is not what its name says, would make every other test here worthless.
 */
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { afterEach, expect, it } from "vitest";
import { createAuthority, selfSigned } from "./rig/certificates.ts";
import { startHaproxy } from "./rig/haproxy.ts";
import { newRecord, runLoad, smallMessage } from "./rig/load.ts";
import { asMx, startPostfix, TLS_1_1_ONLY, tlsServer } from "./rig/postfix.ts";
import { freePort, must, run } from "./rig/processes.ts";
import { startSink } from "./rig/sink.ts";
import { swaks } from "./rig/swaks.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

const ADDRESS = "127.0.0.11";

it("shows in the MX's record what crosses, with and without TLS", async () => {
  const folder = await bench.folder("ca");
  const authority = await createAuthority(folder);
  const mx = await authority.issue(["mx.partner.test"]);
  const port = await freePort(ADDRESS);
  const postfix = await startPostfix(bench, {
    name: "mx",
    address: ADDRESS,
    port,
    parameters: asMx(["partner.test"], mx),
  });
  const plain = await swaks({ port, server: ADDRESS });
  const secured = await swaks({
    port,
    server: ADDRESS,
    more: ["--tls", "--tls-verify", "--tls-ca-path", authority.certificate],
  });
  expect([plain.code, secured.code]).toEqual([0, 0]);
  await postfix.received(2);
  await postfix.logged(/TLS connection established from .*TLSv1\.3/);
  expect(postfix.sessions().sort()).toEqual([
    "ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5",
    "ehlo=2 starttls=1 mail=1 rcpt=1 data=1 quit=1 commands=7",
  ]);

  await postfix.configure(tlsServer(undefined));
  const refused = await swaks({ port, server: ADDRESS, more: ["--tls"] });
  expect(refused.code).toBe(29);
  await postfix.configure({ ...tlsServer(mx), ...TLS_1_1_ONLY });
  const old = ["s_client", "-connect", `${ADDRESS}:${port}`, "-starttls", "smtp", "-cipher", "DEFAULT@SECLEVEL=0"];
  expect((await run("openssl", [...old, "-tls1_1"])).stdout).toMatch(/Protocol *: TLSv1\.1\n/);
  expect((await run("openssl", [...old, "-tls1_2"])).code).toBe(1);
  await postfix.stop();
});

it("makes certificates that are wrong in the way their maker was told", async () => {
  const folder = await bench.folder("ca");
  const authority = await createAuthority(folder);
  const verdict = async (certificate: string) => {
    const told = await run(
      "openssl",
      `verify -CAfile ${authority.certificate} -verify_hostname mx.partner.test ${certificate}`.split(" "),
    );
    return /error \d+ at 0 depth lookup: (.*)/.exec(told.stderr)?.[1] ?? "good";
  };
  for (const key of ["rsa", "ec", "ed25519"] as const)
    expect(await verdict((await authority.issue(["mx.partner.test"], { key })).certificate)).toBe("good");
  expect(await verdict((await authority.issue(["other.test"])).certificate)).toBe("hostname mismatch");
  const expired = await authority.issue(["mx.partner.test"], { expired: true });
  expect(await verdict(expired.certificate)).toBe("certificate has expired");
  expect(await verdict((await selfSigned(folder, "mx.partner.test")).certificate)).toMatch(/self-signed/);
  const list = await authority.revocationList([expired]);
  expect(await must("openssl", ["crl", "-in", list, "-noout", "-text"])).toContain("Serial Number");
});

it("counts with the sink exactly what the load tool had acknowledged", async () => {
  const authority = await createAuthority(await bench.folder("ca"));
  const sink = await startSink(bench, { address: ADDRESS, credential: await authority.issue(["relay.own.test"]) });
  let made = 0;
  const record = newRecord();
  const server = { port: () => sink.port, address: ADDRESS };
  const next = () => {
    if (made === 500) return undefined;
    const id = `m${(made += 1)}`;
    return { id, from: "a@own.test", to: ["b@partner.test"], content: smallMessage(id, { size: 4096 }) };
  };
  const tls = { ca: readFileSync(authority.certificate, "utf8") };
  await runLoad({ ...server, sessions: 8, tls, next }, record);
  expect(record.acknowledged.length).toBe(500);
  expect(sink.arrivals.map(({ id }) => id).sort()).toEqual(record.acknowledged.map(({ id }) => id).sort());
  expect(sink.arrivals.every((arrival) => arrival.tls)).toBe(true);
  expect([...sink.clearCommands.keys()].sort()).toEqual(["EHLO", "STARTTLS"]);
});

it("puts a PROXY header in front, version 1 and 2", async () => {
  const firstBytes: { from: string; data: Buffer }[] = [];
  const target = createServer((socket) => {
    socket.once("data", (data) => {
      firstBytes.push({ from: socket.remoteAddress ?? "", data });
      socket.end("done\n");
    });
  });
  await new Promise<void>((resolve) => target.listen(0, "127.0.0.1", resolve));
  bench.atEnd(() => void target.close());
  const bound = target.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  const proxy = await startHaproxy(bench, { port, source: "127.0.0.9" });
  for (const entry of [proxy.v1, proxy.v2])
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ port: entry, host: "127.0.0.1", localAddress: "127.0.0.50" });
      socket
        .on("data", () => {})
        .on("error", reject)
        .on("close", () => resolve());
    });
  expect(firstBytes.map(({ from }) => from)).toEqual(["127.0.0.9", "127.0.0.9"]);
  expect(firstBytes[0]?.data.toString("latin1")).toMatch(/^PROXY TCP4 127\.0\.0\.50 127\.0\.0\.1 /);
  expect(firstBytes[1]?.data.subarray(0, 12).toString("latin1")).toBe("\r\n\r\n\0\r\nQUIT\n");
});
