/**
 * The whole corpus through a real gateway: stripped and signed by DKIM, bodies stay octet for octet; signed by S/MIME,
 * every signature holds and nothing that is shown or saved is another. What cannot be so is named.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CorpusMessage, messages } from "../corpus/messages.ts";
import type { MxServer } from "../peers/mx-server.ts";
import { SmtpClient } from "../peers/smtp-client.ts";
import { dkimVerifiers } from "./rig/dkim-verifiers.ts";
import type { Gateway } from "./rig/gateway.ts";
import { createHouse, type House, partner, person, root, split, startCollector } from "./rig/leaving.ts";
import { compare, verifyAll } from "./rig/leaving-readers.ts";
import { eventually } from "./rig/processes.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterAll(bench.clear);

const signer = person({ email: ["anna@own.test", "anna@example.org"], keyType: "rsa" });
const others = person({ email: "gateway@example.org", keyType: "ec" });
/** Nothing is signed in the name of an author who is nobody, not ours, more than one, or cannot be read. */
const NO_AUTHOR = {
  "header: no fields at all": "the From field is missing or unreadable",
  "header: no From": "the From field is missing or unreadable",
  "header: addresses with routes and quotes": "the From field is missing or unreadable",
  "header: 8-bit address": "the From address is not in one of our domains",
  "header: two From fields": "there is more than one From field",
  "header: two of everything": "there is more than one From field",
};
/** RFC 5322 §4.5: dkimpy does not read the obsolete form of a field's name. */
const NOT_READ_BY_DKIMPY = "header: blank before the colon";
/** Their users have signed or encrypted them, by S/MIME or PGP/MIME: these stay as they are. */
const SEALED_BEFORE = /^(?:S\/MIME detached|S\/MIME triple wrap|PGP\/MIME (?:signed|encrypted))/;
let house: House;
let gateway: Gateway;
let collector: MxServer;
const PASS = ["rsa-sha256 pass", "ed25519-sha256 pass"];
/** Replies to DATA that refused, by name. */
const refused = { dkim: new Map<string, string>(), smime: new Map<string, string>() };

beforeAll(async () => {
  const settings = { limits: { received_headers: 100 } };
  house = await createHouse(bench, { signer, gateway: others, settings });
  collector = await startCollector(bench, house, "127.0.0.21");
  await house.site.partner("dkim", partner("dkim.test", collector));
  await house.site.partner("smime", partner("smime.test", collector, { smime: { sign: "if-possible" } }));
  gateway = await house.site.start();
  const client = await SmtpClient.greeted({ port: gateway.port() });
  for (const way of ["dkim", "smime"] as const) {
    for (const [index, { name, header, body }] of messages.entries()) {
      await client.ask("MAIL FROM:<anna@example.org> BODY=8BITMIME", 250);
      await client.ask(`RCPT TO:<${index}@${way}.test>`, 250);
      await client.ask("DATA", 354);
      await client.send(dotted(Buffer.concat([header, ended(body)])));
      const answer = await client.reply();
      if (answer?.code !== 250) refused[way].set(name, answer?.text ?? "");
    }
  }
  client.close();
  const awaited = 2 * messages.length - refused.dkim.size - refused.smime.size;
  const delivered = () => gateway.log.filter(({ event }) => event === "delivery").length;
  await eventually("all of them", () => Math.min(collector.messages.length, delivered()) >= awaited, {
    within: 60_000,
    seen: () => `${collector.messages.length} of ${awaited}\n${JSON.stringify(gateway.log.slice(-3))}`,
  });
});

/** With the line end that SMTP puts at the end of what has none (RFC 5321 §4.1.1.4). */
function ended(body: Buffer): Buffer {
  const end = body.length === 0 || body.subarray(-2).toString() === "\r\n" ? "" : "\r\n";
  return Buffer.concat([body, Buffer.from(end)]);
}

/** Python's parser takes for the body what follows a name with blanks before its colon. */
function readable(header: Buffer): Buffer {
  return Buffer.from(header.toString("latin1").replaceAll(/^([!-9;-~]+)[ \t]+:/gm, "$1:"), "latin1");
}

function dotted(content: Buffer): Buffer {
  return Buffer.from(`${content.toString("latin1").replace(/(^|\r\n)\./g, "$1..")}.\r\n`, "latin1");
}

interface Arrived {
  readonly name: string;
  readonly original: CorpusMessage;
  readonly content: Buffer;
}

function arrived(way: "dkim" | "smime"): Arrived[] {
  const contents = new Map(
    collector.messages.map(({ recipients, content }) => [/<(\d+@\w+)\.test>/.exec(recipients.join())?.[1], content]),
  );
  return messages.flatMap((original, index) => {
    const content = contents.get(`${index}@${way}`);
    return content === undefined ? [] : [{ name: original.name, original, content }];
  });
}

it("is taken whole", () => {
  expect(messages.length).toBeGreaterThanOrEqual(200);
  expect(Object.fromEntries(refused.dkim)).toEqual({});
  expect(Object.fromEntries(refused.smime)).toEqual({});
  expect(arrived("dkim")).toHaveLength(messages.length);
});

/** What the log says was done to each, by name. */
function treated(way: "dkim" | "smime"): Map<string, { unsigned?: string; signed: boolean; notes: string[] }> {
  const lines = gateway.log.filter(
    ({ event, recipients }) => event === "delivery" && recipients[0].endsWith(`@${way}.test`),
  );
  return new Map(
    lines.map(({ recipients, dkim, smime }) => [
      messages[Number(recipients[0].split("@")[0])]?.name ?? "",
      { unsigned: dkim?.unsigned, signed: smime?.signer !== undefined, notes: smime?.notes ?? [] },
    ]),
  );
}

describe("stripped and signed by DKIM", () => {
  it("has every body as it was written, octet for octet", () => {
    const changed = arrived("dkim").filter(
      ({ original, content }) => !split(content).body.equals(ended(original.body)),
    );
    expect(changed.map(({ name }) => name)).toEqual([]);
  });

  it("has no signature only where there is no author of ours, and the log says why", () => {
    const unsigned = [...treated("dkim")].flatMap(([name, { unsigned: why }]) =>
      why === undefined ? [] : [[name, why]],
    );
    expect(Object.fromEntries(unsigned)).toEqual(NO_AUTHOR);
  });

  it("verifies with dkimpy", async () => {
    const { dkimPy } = await dkimVerifiers(bench, house.dkim);
    const all = arrived("dkim").filter(({ name }) => !(name in NO_AUTHOR));
    const verdicts = await dkimPy(all.map(({ content }) => content));
    const wrong = all.filter((_, at) => verdicts[at]?.dkim.slice(0, 2).join() !== PASS.join());
    expect(wrong.map(({ name }) => name)).toEqual([NOT_READ_BY_DKIMPY]);
    expect(all.length).toBeGreaterThan(200);
  });
});

describe("signed by S/MIME", () => {
  const untouched = (name: string): boolean => name in NO_AUTHOR || SEALED_BEFORE.test(name);

  it("verifies with OpenSSL, and nothing that is shown or saved is another", async () => {
    const all = arrived("smime").filter(({ name }) => !untouched(name));
    const contents = all.map(({ content }) => content);
    const verified = await verifyAll(bench, root.pem, contents);
    const wrong = all.flatMap(({ name }, at) => (verified[at]?.ok === true ? [] : [[name, verified[at]?.told]]));
    expect(wrong).toEqual([]);
    const differences = await compare(
      all.map(({ original: { header, body } }, at) => [
        Buffer.concat([readable(header), ended(body)]),
        verified[at]?.content ?? Buffer.alloc(0),
      ]),
    );
    expect(all.flatMap(({ name }, at) => (differences[at] === "same" ? [] : [[name, differences[at]]]))).toEqual([]);
    expect(all.length).toBeGreaterThan(200);
    console.log(`${messages.length} messages, ${all.length} signed by S/MIME`);
  });

  it("verifies with dkimpy, too, since DKIM comes last", async () => {
    const { dkimPy } = await dkimVerifiers(bench, house.dkim);
    const all = arrived("smime").filter(({ name }) => !(name in NO_AUTHOR));
    const verdicts = await dkimPy(all.map(({ content }) => content));
    const wrong = all.filter((_, at) => verdicts[at]?.dkim.slice(0, 2).join() !== PASS.join());
    expect(wrong.map(({ name }) => name)).toEqual([NOT_READ_BY_DKIMPY]);
  });

  it("stays as it was, octet for octet, where its user has signed or encrypted it, or there is no author", () => {
    const rest = arrived("smime").filter(({ name }) => untouched(name));
    const changed = rest.filter(({ original, content }) => !split(content).body.equals(ended(original.body)));
    expect(changed.map(({ name }) => name)).toEqual([]);
    const done = treated("smime");
    const unsigned = [...done].filter(([, { signed }]) => !signed).map(([name]) => name);
    expect(unsigned.sort()).toEqual(rest.map(({ name }) => name).sort());
    const notes = rest.flatMap(({ name }) => (SEALED_BEFORE.test(name) ? [done.get(name)?.notes.join()] : []));
    expect(new Set(notes)).toEqual(new Set(["already-signed", "already-encrypted"]));
  });
});
