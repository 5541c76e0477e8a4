import packet from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeAnswer, encodeQuery, hostName, type Query, readAnswer } from "../../../src/connect/dns-message.ts";
import type { DomainName } from "../../../src/mail/domain-name.ts";

const NAME = "acme.example" as DomainName;
const query: Query = { id: 4711, name: NAME, type: "MX", edns: true };

function response(changes: Partial<packet.Packet>): Buffer {
  return packet.encode({
    type: "response",
    id: query.id,
    flags: packet.RECURSION_AVAILABLE,
    questions: [{ type: "MX", name: "ACME.Example", class: "IN" }],
    answers: [{ type: "MX", name: "Acme.EXAMPLE", ttl: 60, data: { preference: 10, exchange: "MX.acme.example" } }],
    ...changes,
  });
}

describe("an answer", () => {
  it("is recognised whatever the case of its names [RFC 4343]", () => {
    const message = decodeAnswer(response({}), query);
    expect(message && readAnswer(message, NAME, "MX")).toEqual({
      kind: "found",
      canonical: NAME,
      ttlSeconds: 60,
      records: [{ preference: 10, exchange: "mx.acme.example" }],
    });
  });

  it.each<[string, Buffer]>([
    ["with another id", response({ id: 4712 })],
    ["that is a query", response({ type: "query" })],
    ["to another name", response({ questions: [{ type: "MX", name: "acme.exampel", class: "IN" }] })],
    ["to another type", response({ questions: [{ type: "A", name: NAME, class: "IN" }] })],
    ["in another class", response({ questions: [{ type: "MX", name: NAME, class: "CH" }] })],
    ["to two questions", response({ questions: [0, 1].map(() => ({ type: "MX", name: NAME, class: "IN" }) as const) })],
    ["to none", response({ questions: [] })],
    ["cut off", response({}).subarray(0, 40)],
    ["of nothing", Buffer.alloc(0)],
    ["with a pointer to itself", Buffer.concat([response({}).subarray(0, 12), Buffer.from([0xc0, 0x0c, 0, 15, 0, 1])])],
  ])("%s is not ours [RFC 5452 §9.1]", (_, bytes) => expect(decodeAnswer(bytes, query)).toBeUndefined());

  it("never breaks the reader, whatever its bytes are", () => {
    const whole = response({});
    const mutation = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 });
    fc.assert(
      fc.property(mutation, fc.uint8Array({ maxLength: 40 }), (changes, tail) => {
        const bytes = Buffer.concat([whole, tail]);
        for (const [at, value] of changes) if (at > 1) bytes[at] = value;
        const message = decodeAnswer(bytes, query);
        if (message !== undefined) expect(readAnswer(message, NAME, "MX")).toHaveProperty("kind");
      }),
      { numRuns: 2_000 },
    );
  });

  it("with records of another class only says nothing of ours", () => {
    const answers = [{ type: "MX", name: NAME, class: "CH", data: { preference: 1, exchange: "mx.example" } }] as const;
    const message = decodeAnswer(response({ answers: [...answers] }), query);
    expect(message && readAnswer(message, NAME, "MX")).toMatchObject({ kind: "none" });
  });

  it("with records of other names only says nothing of ours", () => {
    const answers = [
      { type: "MX", name: "evil.example", data: { preference: 1, exchange: "mx.evil.example" } },
    ] as const;
    const message = decodeAnswer(response({ answers: [...answers] }), query);
    expect(message && readAnswer(message, NAME, "MX")).toEqual({ kind: "none", exists: true, canonical: NAME });
  });
});

describe("a query", () => {
  it("asks for recursion and for what DNSSEC knows [RFC 6840 §5.7, RFC 3225 §3]", () => {
    const sent = packet.decode(encodeQuery(query));
    expect(sent).toMatchObject({ id: 4711, flag_rd: true, flag_ad: true, questions: [{ name: NAME, type: "MX" }] });
    expect(sent.additionals).toMatchObject([{ type: "OPT", flag_do: true, udpPayloadSize: 1232 }]);
    expect(packet.decode(encodeQuery({ ...query, edns: false })).additionals).toEqual([]);
  });
});

describe("a name out of DNS", () => {
  it.each(["bücher.example", "a b.example", "192.0.2.1", "a\r\nb.example", "", ".", "-x.example", "a..b"])(
    "%j is no host name",
    (text) => expect(hostName(text)).toBeUndefined(),
  );
  it("is a host name in lower case", () => expect(hostName("MX.Acme.example")).toBe("mx.acme.example"));
});
