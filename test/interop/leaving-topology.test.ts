/**
 * Headers as Exchange and Postfix write them, through a real gateway with `headers: strip`: what an audit of what the
 * partner got finds of the inside. With `keep` the same audit finds it all.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EXCHANGE, POSTFIX } from "../corpus/traces.ts";
import type { MxServer } from "../peers/mx-server.ts";
import { SmtpClient } from "../peers/smtp-client.ts";
import { arrivedFor, createHouse, partner, split, startCollector } from "./rig/leaving.ts";
import { eventually } from "./rig/processes.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterAll(bench.clear);

const CLIENT = "127.0.0.33";
const HELO = "pc-anna.corp.example.org";
/** Hosts, addresses, users, programs and identifiers of the inside. */
const INSIDE =
  /corp\.|intern\.|exch0\d|mailout|webmail|pc-anna|gw1|localhost|\b10\.\d+\.|172\.16\.|192\.168\.|127\.0\.|fe80:|abeispiel|userid|rcube|amavis|postfix|thunderbird|4XyZ|0A1B2C|15\.0?2\.1544|11111111|6d4bb1a6|SMEX|internal ca/gi;
const SENDERS = { exchange: EXCHANGE, postfix: POSTFIX };
const HEADERS = { strip: "strip", keep: "keep" };
type SenderName = keyof typeof SENDERS;
type Way = keyof typeof HEADERS;
let collector: MxServer;

beforeAll(async () => {
  const house = await createHouse(bench);
  collector = await startCollector(bench, house, "127.0.0.21");
  for (const [way, headers] of Object.entries(HEADERS))
    await house.site.partner(way, partner(`${way}.test`, collector, { headers }));
  const gateway = await house.site.start();
  const client = await SmtpClient.connect({ port: gateway.port(), localAddress: CLIENT });
  await client.expect(220);
  await client.ask(`EHLO ${HELO}`, 250);
  for (const [name, header] of Object.entries(SENDERS)) {
    await client.ask("MAIL FROM:<anna@example.org>", 250);
    for (const way of Object.keys(HEADERS)) await client.ask(`RCPT TO:<${name}@${way}.test>`, 250);
    await client.ask("DATA", 354);
    await client.send(`${header.join("\r\n")}\r\n\r\nQuartalszahlen\r\n.\r\n`);
    await client.expect(250);
  }
  client.close();
  const awaited = Object.keys(SENDERS).length * Object.keys(HEADERS).length;
  await eventually("all of them", () => collector.messages.length === awaited);
});

const headerOf = (name: SenderName, way: Way): string => {
  const message = arrivedFor(collector, `${name}@${way}.test`) ?? Buffer.alloc(0);
  return split(message)
    .header.toString("latin1")
    .replaceAll(/\r\n[ \t]+/g, " ");
};
const telling = (header: string): string[] => header.split("\r\n").filter((line) => line.match(INSIDE) !== null);

describe.each(["exchange", "postfix"] as const)("what is left of a header by %s", (name) => {
  it("tells nothing of the inside", () => {
    expect(telling(headerOf(name, "strip"))).toEqual([]);
    expect(headerOf(name, "strip")).toMatch(/^Message-ID: <\S+@relay\.own\.test>$/m);
  });

  it("is all of it with `keep`: the search sees", () => {
    const header = headerOf(name, "keep");
    expect(header.endsWith(`${SENDERS[name].join("\r\n").replaceAll(/\r\n[ \t]+/g, " ")}\r\n\r\n`)).toBe(true);
    expect(telling(header).length).toBeGreaterThan(8);
    expect(header).toContain(`from ${HELO} ([${CLIENT}])`);
  });

  it("says who wrote it to whom, and how it was taken", () => {
    const header = headerOf(name, "strip");
    const received = header.match(/^Received: .*$/gm) ?? [];
    expect(received).toEqual([
      expect.stringMatching(/^Received: by relay\.own\.test \(sealpost\) with ESMTP id [0-9a-f]+/),
    ]);
    for (const field of ["From", "To", "Subject", "Date"]) {
      const written = SENDERS[name].find((line) => line.startsWith(`${field}: `));
      expect(header).toContain(`\r\n${written}\r\n`);
    }
    expect(header.match(/^DKIM-Signature:.*\bd=example\.org\b/gm)).toHaveLength(2);
  });
});
