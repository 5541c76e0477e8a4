/** One message over one session: its bytes, its parameters, each recipient's end, and every way to break off. */
import { createHash, randomBytes } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { createAuthority } from "../peers/certificates.ts";
import { type MxOptions, type MxServer, startMx } from "../peers/mx-server.ts";
import {
  type Attempted,
  deliveryOf,
  hostOf,
  type Letter,
  letterContent,
  policy,
  recipient,
  type Sent,
  until,
  type WayOut,
  wayOut,
} from "../peers/outgoing.ts";

const ca = createAuthority("Acme CA");
const certificate = ca.issue({ names: ["mx.acme.test"] });
const secured: MxOptions = { tls: { certificate: certificate.chain, key: certificate.key } };
const verify = policy(ca, { level: "verify" });

let mx: MxServer;
let out: WayOut;

afterEach(async () => {
  out.stop.abort();
  await mx.close();
});

async function start(options: MxOptions, bent: Parameters<typeof wayOut>[0] = {}): Promise<void> {
  mx = await startMx({ ...secured, ...options });
  out = wayOut(bent);
}

const send = (letter: Sent = {}): Promise<Attempted> => out.attempt(hostOf(mx), verify, letter);
const line = (verb: string): string[] =>
  mx.commands.filter((command) => command.line.startsWith(verb)).map((command) => command.line);
const ending = ({ outcomes }: Attempted, position = 0): string => {
  const outcome = outcomes?.get(position);
  return outcome?.kind === "delivered" ? "delivered" : `${outcome?.kind} ${outcome?.reason} ${outcome?.status}`;
};

async function* inPieces(content: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
  await Promise.resolve();
}

describe("the content arrives byte for byte", () => {
  const odd = Buffer.concat([
    Buffer.from("Subject: odd\r\n\r\n.\r\n..\r\n.dot\r\n\r\n"),
    Buffer.from(randomBytes(4_000).map((octet) => (octet === 10 || octet === 13 ? 0xff : octet))),
    Buffer.from(`\r\n${"x".repeat(20_000)}\r\n.`),
    Buffer.from("\r\n"),
  ]);
  it.each<[string, Buffer]>([
    ["dots, 8-bit octets, long lines", odd],
    ["a single line", Buffer.from("Subject: x\r\n")],
    ["a dot first", Buffer.from(".\r\n\r\n.\r\n")],
  ])("%s", async (_, content) => {
    await start({});
    expect(ending(await send({ content, mail: { body: "8BITMIME" } }))).toBe("delivered");
    for (const size of [1, 7, 1_000, 100_000]) {
      const again = { content, mail: { body: "8BITMIME" as const }, stream: () => inPieces(content, size) };
      expect(ending(await send(again))).toBe("delivered");
    }
    expect(mx.messages).toHaveLength(5);
    for (const message of mx.messages) expect(message.content.equals(content)).toBe(true);
  });

  it("and a large one as a stream", async () => {
    await start({});
    const piece = Buffer.from(`${"y".repeat(998)}\r\n`.repeat(64));
    const pieces = 160;
    async function* large(): AsyncGenerator<Buffer> {
      for (let sent = 0; sent < pieces; sent += 1) {
        yield await Promise.resolve(Buffer.from(piece));
      }
    }
    const content = { length: piece.length * pieces } as Buffer;
    expect(ending(await send({ delivery: deliveryOf({ content }), stream: large }))).toBe("delivered");
    const all = createHash("sha256");
    for (let sent = 0; sent < pieces; sent += 1) all.update(piece);
    expect(
      createHash("sha256")
        .update(mx.messages[0]?.content ?? "")
        .digest("hex"),
    ).toBe(all.digest("hex"));
  });

  it("waits for a slow reader instead of reading ahead", async () => {
    await start({ stallContentAfter: 100_000 }, { dataTimeoutMs: 400 });
    let taken = 0;
    async function* endless(): AsyncGenerator<Buffer> {
      for (;;) {
        taken += 65_536;
        yield await Promise.resolve(Buffer.alloc(65_536, "z"));
      }
    }
    expect(ending(await send({ stream: endless }))).toBe("deferred connection-lost 4.4.2");
    expect(taken).toBeLessThan(32 * 1_048_576);
  });
});

describe("parameters", () => {
  const full: Letter = {
    to: [
      recipient(0, "bob@acme.test", { notify: ["SUCCESS", "DELAY"], orcpt: "rfc822;b+2Bob@acme.test" }),
      recipient(1, "eve@acme.test", { notify: ["NEVER"] }),
      recipient(2, '"a<b> c"@acme.test'),
    ],
    mail: { body: "8BITMIME", ret: "HDRS", envid: "QQ+2B1" },
  };

  it("go out as they came in, for each recipient its own [RFC 3461 §4]", async () => {
    await start({});
    await send(full);
    expect(line("MAIL")).toEqual([
      `MAIL FROM:<anna@sender.test> SIZE=${letterContent.length} BODY=8BITMIME RET=HDRS ENVID=QQ+2B1`,
    ]);
    expect(line("RCPT")).toEqual([
      "RCPT TO:<bob@acme.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+2Bob@acme.test",
      "RCPT TO:<eve@acme.test> NOTIFY=NEVER",
      'RCPT TO:<"a<b> c"@acme.test>',
    ]);
  });

  it("stay away where the peer does not offer their extension", async () => {
    await start({ extensions: ["8BITMIME"] });
    await send(full);
    expect(line("MAIL")).toEqual(["MAIL FROM:<anna@sender.test> BODY=8BITMIME"]);
    expect(line("RCPT")[0]).toBe("RCPT TO:<bob@acme.test>");
  });

  it("carry the null sender [RFC 5321 §4.5.5]", async () => {
    await start({ extensions: [] });
    await send({ from: null });
    expect(line("MAIL")).toEqual(["MAIL FROM:<>"]);
  });

  it("carry SMTPUTF8 for an address in UTF-8 [RFC 6531 §3.4]", async () => {
    await start({});
    expect(ending(await send({ to: [recipient(0, "jürgen@acme.test")] }))).toBe("delivered");
    expect(line("MAIL")[0]).toContain(" SMTPUTF8");
    expect(line("RCPT")).toEqual(["RCPT TO:<jürgen@acme.test>"]);
  });
});

describe("what the peer does not offer is never used", () => {
  it.each<[string, string[], Letter, string]>([
    ["SMTPUTF8 [RFC 6531 §3.5]", ["8BITMIME"], { mail: { smtpUtf8: true } }, "failed smtputf8-not-supported 5.6.7"],
    [
      "a recipient in UTF-8",
      ["8BITMIME"],
      { to: [recipient(0, "jürgen@acme.test")] },
      "failed smtputf8-not-supported 5.6.7",
    ],
    ["a sender in UTF-8", ["8BITMIME"], { from: "jürgen@sender.test" }, "failed smtputf8-not-supported 5.6.7"],
    ["8BITMIME [RFC 6152 §3]", ["SMTPUTF8"], { mail: { body: "8BITMIME" } }, "failed 8bitmime-not-supported 5.6.3"],
    ["REQUIRETLS [RFC 8689 §4.2.1]", [], { mail: { requireTls: true } }, "failed requiretls-not-supported 5.7.30"],
    ["so large a message [RFC 1870 §6.1]", ["SIZE 10"], {}, "failed smtp-5xx 5.3.4"],
  ])("%s", async (_, extensions, letter, expected) => {
    await start({ extensions });
    expect(ending(await send(letter))).toBe(expected);
    expect(mx.verbs()).toBe("EHLO STARTTLS EHLO");
  });

  it("is asked per message, not per session", async () => {
    await start({ extensions: ["8BITMIME"] });
    for (const [address, expected] of [
      ["bob@acme.test", "delivered"],
      ["jürgen@acme.test", "failed smtputf8-not-supported 5.6.7"],
      ["bob@acme.test", "delivered"],
    ] as const) {
      expect(ending(await send({ to: [recipient(0, address)] }))).toBe(expected);
    }
    expect(mx.connections()).toBe(1);
  });
});

describe.each([
  ["with PIPELINING [RFC 2920]", ["PIPELINING"]],
  ["one command at a time", []],
])("recipients, %s", (_, extensions) => {
  const to = ["a", "b", "c"].map((name, index) => recipient(index + 4, `${name}@acme.test`));

  it("each have their own end", async () => {
    await start({
      extensions,
      recipients: { "a@acme.test": "550 5.1.1 Unknown", "c@acme.test": "450 4.2.1 Later" },
    });
    const tried = await send({ to });
    expect([4, 5, 6].map((position) => ending(tried, position))).toEqual([
      "failed smtp-5xx 5.1.1",
      "delivered",
      "deferred smtp-4xx 4.2.1",
    ]);
    expect(mx.messages).toMatchObject([{ recipients: ["RCPT TO:<b@acme.test>"], complete: true }]);
  });

  it("may all be refused, and nothing is sent", async () => {
    await start({
      extensions,
      recipients: { "a@acme.test": "550 No", "b@acme.test": "550 No", "c@acme.test": "451 No" },
    });
    const tried = await send({ to });
    expect([4, 5, 6].map((position) => ending(tried, position))).toEqual([
      "failed smtp-5xx 5.0.0",
      "failed smtp-5xx 5.0.0",
      "deferred smtp-4xx 4.0.0",
    ]);
    expect(mx.messages).toEqual([]);
    expect(ending(await send())).not.toBe("deferred connection-lost 4.4.2");
  });

  it("that are too many follow in another transaction [RFC 5321 §4.5.3.1.10]", async () => {
    const most = 2;
    let taken = 0;
    await start({
      extensions,
      answer: ({ line: command }) => {
        if (command.startsWith("MAIL")) taken = 0;
        return command.startsWith("RCPT") && ++taken > most ? "452 4.5.3 Too many recipients" : undefined;
      },
    });
    const tried = await send({ to });
    expect([4, 5, 6].map((position) => ending(tried, position))).toEqual(["delivered", "delivered", "delivered"]);
    expect(mx.messages.map(({ recipients }) => recipients.length)).toEqual([2, 1]);
  });

  it("with the same address twice have an end each", async () => {
    await start({ extensions });
    const tried = await send({ to: [recipient(0, "a@acme.test"), recipient(1, "a@acme.test")] });
    expect([ending(tried, 0), ending(tried, 1)]).toEqual(["delivered", "delivered"]);
  });

  it.each<[string, MxOptions, string]>([
    [
      "MAIL refused for now",
      { answer: (c) => (c.line.startsWith("MAIL") ? "451 4.7.1 Greylisted" : undefined) },
      "deferred smtp-4xx 4.7.1",
    ],
    [
      "MAIL refused",
      { answer: (c) => (c.line.startsWith("MAIL") ? "550 5.7.1 No" : undefined) },
      "failed smtp-5xx 5.7.1",
    ],
    ["DATA refused", { data: "451 4.3.0 Later" }, "deferred smtp-4xx 4.3.0"],
    ["the content refused", { final: "554 5.7.1 Spam" }, "failed smtp-5xx 5.7.1"],
    ["the content refused for now", { final: "452 4.3.1 Full" }, "deferred smtp-4xx 4.3.1"],
    ["421 at RCPT", { recipients: { "bob@acme.test": "421 4.3.2 Closing" } }, "deferred smtp-4xx 4.3.2"],
    [
      "421 at MAIL",
      { answer: (c) => (c.line.startsWith("MAIL") ? "421 4.3.2 Closing" : undefined) },
      "deferred smtp-4xx 4.3.2",
    ],
    [
      "a drop at MAIL",
      { answer: (c) => (c.line.startsWith("MAIL") ? "drop" : undefined) },
      "deferred connection-lost 4.4.2",
    ],
    ["a drop at RCPT", { recipients: { "bob@acme.test": "drop" } }, "deferred connection-lost 4.4.2"],
    ["silence at RCPT", { recipients: { "bob@acme.test": "hang" } }, "deferred connection-lost 4.4.2"],
    ["a drop at DATA", { data: "drop" }, "deferred connection-lost 4.4.2"],
    ["250 to DATA is no go-ahead [RFC 5321 §4.3.2]", { data: "250 Fine" }, "deferred connection-lost 4.4.2"],
    [
      "an answer without end",
      { recipients: { "bob@acme.test": `${"250-x\r\n".repeat(101)}250 x` } },
      "deferred connection-lost 4.4.2",
    ],
    ["an answer that is none", { recipients: { "bob@acme.test": "hello" } }, "deferred connection-lost 4.4.2"],
  ])("end: %s", async (__, options, expected) => {
    await start({ extensions, ...options }, { commandTimeoutMs: 300 });
    const tried = await send();
    expect(ending(tried)).toBe(expected);
    expect(tried.outcomes?.get(0)).not.toHaveProperty("mayBeDelivered");
    expect(mx.messages.filter(({ complete }) => complete)).toHaveLength(options.final === undefined ? 0 : 1);
  });
});

describe("a session that breaks", () => {
  const big = Buffer.from(`${"x".repeat(998)}\r\n`.repeat(4_000));

  it("within the content has delivered nothing", async () => {
    await start({ dropContentAfter: 100_000 });
    // More than the buffers of both systems hold: what has left this process may have arrived.
    const content = { length: big.length * 10 } as Buffer;
    const tried = await send({
      delivery: deliveryOf({ content }),
      stream: () => inPieces(Buffer.concat(Array.from({ length: 10 }, () => big)), 65_536),
    });
    expect(ending(tried)).toBe("deferred connection-lost 4.4.2");
    expect(tried.outcomes?.get(0)).not.toHaveProperty("mayBeDelivered");
    await until(() => mx.messages.length === 1, "the peer's partial record");
    expect(mx.messages).toMatchObject([{ complete: false }]);
  });

  it.each(["drop", "hang"])("after the final dot (%s) may have delivered it [RFC 1047]", async (final) => {
    await start({ final }, { dataTimeoutMs: 300 });
    const tried = await send();
    expect(ending(tried)).toBe("deferred connection-lost 4.4.2");
    expect(tried.outcomes?.get(0)).toMatchObject({ mayBeDelivered: true });
    expect(mx.messages).toMatchObject([{ complete: true }]);
    await until(() => out.pool.size() === 0, "the session is dropped");
  });

  it("when the gateway stops leaves the final dot unsent", async () => {
    await start({});
    async function* stopping(): AsyncGenerator<Buffer> {
      yield await Promise.resolve(big.subarray(0, 100_000));
      out.stop.abort();
      yield big.subarray(100_000);
    }
    const tried = await send({ content: big, stream: stopping });
    expect(ending(tried)).toBe("deferred connection-lost 4.4.2");
    await until(() => mx.open() === 0, "cut");
    expect(mx.messages.filter(({ complete }) => complete)).toEqual([]);
  });
});

describe("content that fails", () => {
  const damaged = new Error("record 3 does not authenticate");

  it.each<[string, () => AsyncIterable<Buffer>, unknown]>([
    [
      "in its middle",
      async function* middle() {
        yield await Promise.resolve(letterContent.subarray(0, 10));
        throw damaged;
      },
      damaged,
    ],
    [
      "at its beginning",
      // oxlint-disable-next-line require-yield
      async function* beginning() {
        await Promise.resolve();
        throw damaged;
      },
      damaged,
    ],
    ["by ending too early", () => inPieces(letterContent.subarray(0, 20), 7), expect.any(Error)],
    ["by being too long", () => inPieces(Buffer.concat([letterContent, letterContent]), 7), expect.any(Error)],
  ])("%s never gets its final dot, and the caller is told", async (_, stream, error) => {
    await start({});
    await expect(send({ stream })).rejects.toEqual(error);
    await until(() => mx.open() === 0, "the session is cut");
    expect(mx.messages.filter(({ complete }) => complete)).toEqual([]);
    expect(mx.verbs()).not.toContain("QUIT");
    expect(out.pool.size()).toBe(0);
    expect(ending(await send())).toBe("delivered");
  });

  it("in the second transaction of a delivery does not send it again to those who have it from the first", async () => {
    let taken = 0;
    let reads = 0;
    await start({
      answer: ({ line: command }) =>
        command.startsWith("RCPT") && ++taken === 2 ? "452 4.5.3 Too many recipients" : undefined,
    });
    const stream = async function* onceOnly(): AsyncGenerator<Buffer> {
      await Promise.resolve();
      if (++reads > 1) throw damaged;
      yield letterContent;
    };
    const attempted = await send({ stream, to: [recipient(0, "a@acme.test"), recipient(1, "b@acme.test")] });
    expect([ending(attempted), ending(attempted, 1)]).toEqual(["delivered", "deferred smtp-4xx 4.5.3"]);
    await until(() => mx.open() === 0, "the session is cut");
  });

  it("hands on the error as it was thrown", async () => {
    await start({});
    const original = Object.assign(new Error("no"), { code: "OURS", kind: "damaged" });
    // oxlint-disable-next-line require-yield
    const stream = async function* failing(): AsyncGenerator<Buffer> {
      await Promise.resolve();
      throw original;
    };
    await expect(send({ stream })).rejects.toBe(original);
    expect(original).toMatchObject({ code: "OURS", kind: "damaged" });
  });
});

it("a session admitted for one delivery does not carry another", async () => {
  await start({});
  const { admit } = await import("../../src/verify/gate.ts");
  const { deliver } = await import("../../src/deliver/transaction.ts");
  const session = await out.pool.connect(hostOf(mx), { use: "required", policy: verify, fresh: false });
  if ("kind" in session) throw new Error(session.detail);
  const admission = admit(session, { level: "opportunistic" }, "another", Date.now());
  if ("kind" in admission) throw new Error(admission.detail);
  await expect(deliver(admission.verified, deliveryOf(), { content: () => letterContent })).rejects.toThrow(
    "The session was admitted for another",
  );
  expect(mx.verbs()).not.toContain("MAIL");
});
