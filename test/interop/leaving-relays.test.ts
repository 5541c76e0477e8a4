/**
 * Mail of a real Postfix inside leaves through the gateway, and goes on through a Postfix and an Exim of others. What
 * arrives is audited as the recipient would: do the signatures hold, and what does it tell of the inside?
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { MxServer } from "../peers/mx-server.ts";
import { type CmsPeers, cmsPeers, sha256 } from "./rig/cms-peers.ts";
import { dkimVerifiers } from "./rig/dkim-verifiers.ts";
import { startExim } from "./rig/exim.ts";
import { arrivedFor, createHouse, type House, partner, person, root, split, startCollector } from "./rig/leaving.ts";
import { compare, signedParts, verifyAll } from "./rig/leaving-readers.ts";
import { awkwardMessage } from "./rig/mail.ts";
import { asSender, startPostfix } from "./rig/postfix.ts";
import { eventually, freePort } from "./rig/processes.ts";
import { swaks } from "./rig/swaks.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterAll(bench.clear);

/** The inside, as it stands in what Postfix and Exchange write: none of it is anybody's business outside. */
const CLIENT = "127.0.0.33";
const INNER = "127.0.0.12";
const INSIDE = ["pc-anna", "intern.own.test", "corp.own.test", CLIENT, INNER, "10.20.", "Groupware 7.3", "ESMTPSA"];
const FIELDS = [
  "Received: from exch01.corp.own.test (10.20.1.11) by exch02.corp.own.test",
  "\t(10.20.1.12) with ESMTPSA id 15.2.1544.4; Mon, 1 Jun 2026 09:59:58 +0200",
  "X-Originating-IP: [10.20.7.33]",
  "X-Mailer: Groupware 7.3",
  "X-MS-Exchange-Organization-AuthSource: exch01.corp.own.test",
];
const PATHS = ["direct", "postfix", "exim", "kept"] as const;
const STRIPPED = PATHS.filter((path) => path !== "kept");
const signer = person({ email: ["anna@own.test", "anna@example.org"], keyType: "rsa" });
const original = Buffer.from(
  `${FIELDS.join("\n")}\n${awkwardMessage("audited", "bernd@direct.test").toString("latin1")}`,
  "latin1",
);
const arrived = new Map<string, Buffer>();
let house: House;
let peers: CmsPeers;
let collector: MxServer;

beforeAll(async () => {
  house = await createHouse(bench, { signer, settings: { outbound: { tls: { level: "may" } } } });
  peers = await cmsPeers(bench, root, { signer });
  collector = await startCollector(bench, house, "127.0.0.21");
  const exim = await startExim(bench, { nextHop: collector });
  const relay = await startPostfix(bench, {
    name: "outside",
    address: "127.0.0.13",
    port: await freePort("127.0.0.13"),
    parameters: {
      mydestination: "",
      relayhost: `[${collector.address}]:${collector.port}`,
      smtp_dns_support_level: "disabled",
      smtp_tls_security_level: "may",
      smtp_line_length_limit: "0",
      smtpd_relay_restrictions: "permit_mynetworks,reject",
    },
  });
  const smime = { sign: "always" };
  const hops = { direct: collector, postfix: relay, exim, kept: collector };
  for (const path of PATHS) {
    const headers = path === "kept" ? "keep" : "strip";
    await house.site.partner(path, partner(`${path}.test`, hops[path], { headers, smime }));
  }
  const gateway = await house.site.start();
  const sender = await startPostfix(bench, {
    name: "sender",
    address: INNER,
    port: await freePort(INNER),
    parameters: {
      ...asSender({ port: gateway.port(), ca: house.authority.certificate, name: "relay.own.test" }),
      myhostname: "mail.intern.own.test",
      smtp_bind_address: INNER,
    },
  });
  const file = join(await bench.folder("message"), "message.eml");
  await writeFile(file, original.subarray(0, -1)); // swaks ends the last line itself
  const to = PATHS.map((path) => `bernd@${path}.test`).join(",");
  const client = ["--helo", "pc-anna.intern.own.test", "--local-interface", CLIENT];
  const more = ["--data", `@${file}`, ...client];
  const sent = await swaks({ server: sender.address, port: sender.port, to, more });
  expect(sent.code, sent.transcript).toBe(0);
  for (const path of PATHS) {
    const message = await eventually(`the message by ${path}`, () => arrivedFor(collector, `bernd@${path}.test`), {
      seen: () => JSON.stringify(gateway.log.slice(-10)) + gateway.stderr() + sender.log().slice(-2_000),
    });
    arrived.set(path, message);
  }
});

const everyOne = (): Buffer[] => PATHS.map((path) => arrived.get(path) ?? Buffer.alloc(0));
const PASS = ["rsa-sha256 pass", "ed25519-sha256 pass"];

describe("what arrives, at once, after a Postfix and after an Exim,", () => {
  it("went through them", () => {
    const header = (path: string) => split(arrived.get(path) ?? Buffer.alloc(0)).header.toString("latin1");
    expect(header("postfix")).toMatch(
      /^Received: from relay\.own\.test \S+ \[127\.0\.0\.1\]\)\r\n[^]*by outside\.test/m,
    );
    expect(header("exim")).toContain("by exim.test with esmtp (Exim 4.");
    for (const path of STRIPPED) {
      const own = header(path).match(/^Received:[^]*?by relay\.own\.test/gm) ?? [];
      expect(own, path).toHaveLength(1);
    }
  });

  it("has two DKIM signatures that hold for OpenDKIM and dkimpy", async () => {
    const { openDkim, dkimPy } = await dkimVerifiers(bench, house.dkim);
    const byDkimPy = await dkimPy(everyOne());
    expect(byDkimPy.map(({ dkim }) => dkim)).toEqual(PATHS.map(() => PASS));
    for (const message of everyOne()) expect(await openDkim(message)).toEqual(PASS);
  });

  it("has an S/MIME signature that holds for OpenSSL and NSS, over what was written", async () => {
    const verified = await verifyAll(bench, root.pem, everyOne());
    expect(verified.map(({ told }) => told)).toEqual(
      PATHS.map(() => expect.stringContaining("Verification successful")),
    );
    const parts = everyOne().map(signedParts);
    const byNss = await peers.nss.verify(parts);
    expect(byNss.map(({ sha256: hash }) => hash)).toEqual(parts.map(({ content }) => sha256(content)));
    const written = Buffer.from(original.toString("latin1").replaceAll("\n", "\r\n"), "latin1");
    expect(await compare(verified.map(({ content }) => [written, content] as const))).toEqual(PATHS.map(() => "same"));
  });

  it("is told of without a word of the inside, either", () => {
    const lines = collector.commands.map(({ line }) => line);
    expect(lines).toContainEqual(expect.stringContaining("RCPT TO:<bernd@direct.test>"));
    expect(lines.filter((line) => INSIDE.some((word) => line.includes(word)))).toEqual([]);
  });

  it("tells nothing of the inside, where the same search finds all of it in what was kept", () => {
    const kept = arrived.get("kept")?.toString("latin1") ?? "";
    const queueId = /by mail\.intern\.own\.test \(Postfix\) with ESMTP id (\w+)/.exec(kept)?.[1] ?? "none";
    const all = [...INSIDE, queueId];
    const found = (path: string) => all.filter((word) => arrived.get(path)?.includes(word));
    expect(Object.fromEntries(PATHS.map((path) => [path, found(path)]))).toEqual({
      direct: [],
      postfix: [],
      exim: [],
      kept: all,
    });
  });
});
