/** DKIM and ARC of ours as others see them: OpenDKIM and dkimpy, at once and after a relay of Postfix's. */
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import type { DkimKeySettings } from "../../src/mail/treatment.ts";
import { readArcChain } from "../../src/transform/dkim/arc-chain.ts";
import { sealHeader } from "../../src/transform/dkim/arc-seal.ts";
import { dkimSigner } from "../../src/transform/dkim/key.ts";
import { signHeader } from "../../src/transform/dkim/sign.ts";
import { type CorpusMessage, messages } from "../corpus/messages.ts";
import { startMx } from "../peers/mx-server.ts";
import { SmtpClient } from "../peers/smtp-client.ts";
import { bodyHashOf, bothKeys, dnsOf, newKey, signers } from "../unit/transform/dkim-keys.ts";
import { dkimVerifiers } from "./rig/dkim-verifiers.ts";
import { startPostfix } from "./rig/postfix.ts";
import { eventually, freePort } from "./rig/processes.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);
let keys: readonly DkimKeySettings[];
let lists: DkimKeySettings;
beforeAll(() => {
  keys = bothKeys();
  lists = newKey("rsa-sha256", "list.test", "arc");
});
/** Messages that others cannot read, or change: no signature could hold there. Anything else must verify. */
const NOT_READ_BY = {
  // Its test mode reads up to a NUL; without a From field, or with one in the obsolete form, it takes no message.
  openDkim: [
    "S/MIME enveloped, binary",
    "header: no fields at all",
    "header: no From",
    "header: blank before the colon",
  ],
  // RFC 5322 §4.5: the obsolete form of a field's name.
  dkimPy: ["a long way", "header: blank before the colon", "inside: blank before the colon"],
};
/** Postfix takes blanks before a colon out of headers, and of those of parts, too. */
const CHANGED_BY_POSTFIX = "parts with odd header fields";

const PASS = ["rsa-sha256 pass", "ed25519-sha256 pass"];

/** With the line end that SMTP puts at the end of what has none (RFC 5321 §4.1.1.4). */
async function signed({ header, body }: CorpusMessage): Promise<Buffer> {
  const now = Date.now();
  const times = { now, expiresAt: now + 10 * 86_400_000 };
  const end = body.length === 0 || body.subarray(-2).toString() === "\r\n" ? "" : "\r\n";
  return Buffer.concat([await signHeader(header, bodyHashOf(body), signers(keys), times), body, Buffer.from(end)]);
}

describe("the corpus, signed with RSA and Ed25519", () => {
  it("verifies with OpenDKIM", async () => {
    const { openDkim } = await dkimVerifiers(bench, keys);
    const wrong: string[] = [];
    for (const one of messages) {
      const verdicts = await openDkim(await signed(one));
      if (verdicts.slice(0, 2).join() !== PASS.join()) wrong.push(one.name);
    }
    expect(wrong.sort()).toEqual(NOT_READ_BY.openDkim.toSorted());
  });

  it("verifies with dkimpy", async () => {
    const { dkimPy } = await dkimVerifiers(bench, keys);
    const all = await dkimPy(await Promise.all(messages.map(signed)));
    const wrong = messages.filter((_, index) => all[index]?.dkim.slice(0, 2).join() !== PASS.join());
    expect(wrong.map(({ name }) => name).sort()).toEqual(NOT_READ_BY.dkimPy);
    expect(all).toHaveLength(messages.length);
  });

  it("does not verify once a word is changed: these verifiers look", async () => {
    const { openDkim, dkimPy } = await dkimVerifiers(bench, keys);
    const one = messages.find(({ body }) => body.includes("the"))!;
    const whole = await signed(one);
    const at = whole.lastIndexOf("the");
    const changed = Buffer.concat([whole.subarray(0, at), Buffer.from("THE"), whole.subarray(at + 3)]);
    expect((await openDkim(changed)).join()).not.toContain("pass");
    expect((await dkimPy([changed]))[0]?.dkim.join()).not.toContain("pass");
  });

  it.each(["From: evil@x.test", "Subject: another", "Reply-To: evil@x.test", "Content-Type: text/html"])(
    "does not verify with one field more, for what is missing is signed, too: %s",
    async (field) => {
      const { openDkim, dkimPy } = await dkimVerifiers(bench, keys);
      const message = Buffer.concat([Buffer.from(`${field}\r\n`), await signed(messages[0]!)]);
      expect(messages[0]?.header.toString()).not.toContain("Reply-To");
      expect(await openDkim(message)).toEqual(["rsa-sha256 fail", "ed25519-sha256 fail"]);
      expect((await dkimPy([message]))[0]?.dkim.join()).not.toContain("pass");
    },
  );

  it("verifies after a relay of Postfix's", async () => {
    const { openDkim, dkimPy } = await dkimVerifiers(bench, keys);
    const arrived = await throughPostfix(await Promise.all(messages.map(signed)));
    const byDkimPy = await dkimPy(arrived);
    const wrong = { openDkim: [] as string[], dkimPy: [] as string[] };
    for (const [index, message] of arrived.entries()) {
      const name = messages[index]?.name ?? "";
      if ((await openDkim(message)).slice(0, 2).join() !== PASS.join()) wrong.openDkim.push(name);
      if (byDkimPy[index]?.dkim.slice(0, 2).join() !== PASS.join()) wrong.dkimPy.push(name);
    }
    const stillUnread = NOT_READ_BY.openDkim.filter((name) => !name.includes("colon"));
    expect(wrong.openDkim.sort()).toEqual([...stillUnread, CHANGED_BY_POSTFIX].sort());
    expect(wrong.dkimPy).toEqual([CHANGED_BY_POSTFIX]);
    const changed = arrived[messages.findIndex(({ name }) => name === CHANGED_BY_POSTFIX)];
    expect(changed?.includes("\r\ncontent-TYPE: text/plain")).toBe(true);
  });
});

/** What the next hop gets, in the order of the messages. */
async function throughPostfix(contents: readonly Buffer[]): Promise<Buffer[]> {
  const mx = await startMx();
  bench.atEnd(mx.close);
  const port = await freePort("127.0.0.1");
  await startPostfix(bench, {
    name: "relay",
    address: "127.0.0.1",
    port,
    parameters: {
      mydestination: "",
      relayhost: `[${mx.address}]:${mx.port}`,
      smtp_dns_support_level: "disabled",
      smtp_tls_security_level: "none",
      smtpd_tls_security_level: "none",
      smtp_line_length_limit: "0",
      smtpd_relay_restrictions: "permit_mynetworks,reject",
    },
  });
  const client = await SmtpClient.greeted({ port });
  for (const [index, content] of contents.entries()) {
    await client.ask("MAIL FROM:<anna@example.org> BODY=8BITMIME", 250);
    await client.ask(`RCPT TO:<${index}@next.test>`, 250);
    await client.ask("DATA", 354);
    const stuffed = content.toString("latin1").replace(/(^|\r\n)\./g, "$1..");
    await client.send(Buffer.from(`${stuffed}.\r\n`, "latin1"));
    await client.expect(250);
  }
  await eventually("all messages at the next hop", () => mx.messages.length === contents.length, { within: 60_000 });
  const byIndex = new Map(
    mx.messages.map(({ recipients, content }) => [/<(\d+)@/.exec(recipients.join())?.[1], content]),
  );
  return contents.map((_, index) => byIndex.get(String(index))!);
}

describe("ARC, as dkimpy sees it", () => {
  const original = messages.find(({ name }) => name === messages[0]?.name)!;
  const streamed = (header: Buffer) => ({
    header,
    async *body() {
      yield original.body;
    },
  });

  it("holds over three hops, and not when the body is changed", async () => {
    const { dkimPy } = await dkimVerifiers(bench, [...keys, lists]);
    const now = Date.now();
    let { header } = original;
    const hops: Buffer[] = [];
    for (const settings of [keys[0]!, lists, keys[0]!]) {
      const chain = await readArcChain(streamed(header), dnsOf(...keys, lists), now);
      if ("unsealed" in chain) throw new Error(chain.unsealed);
      const sealing = { chain, key: dkimSigner(settings), hostname: "mx.own.test", now };
      header = Buffer.concat([
        Buffer.from("Received: by the next hop\r\n"),
        await sealHeader(header, bodyHashOf(original.body), sealing),
      ]);
      hops.push(header);
    }
    const seen = await dkimPy([
      ...hops.map((hop) => Buffer.concat([hop, original.body])),
      Buffer.concat([header, Buffer.from("x"), original.body]),
    ]);
    expect(seen.map(({ arc }) => arc)).toEqual(["pass", "pass", "pass", "fail"]);
  });
});
