import { describe, expect, it } from "vitest";
import { countHops } from "../../../src/mail/hop-count.ts";
import type { HeaderPolicy } from "../../../src/mail/treatment.ts";
import { DEFAULT_REMOVE } from "../../../src/transform/leaking-fields.ts";
import { createMessageIds } from "../../../src/transform/message-ids.ts";
import { ownSide } from "../../../src/transform/own-side.ts";
import { receivedField } from "../../../src/transform/received.ts";
import { editHeader } from "../../../src/transform/strip-topology.ts";

type Mode = HeaderPolicy["received"];
interface Node {
  readonly hostname: string;
  readonly domains: readonly string[];
  readonly received: Mode;
}

/** Once through a sealpost, as receive.ts does it. */
function pass(header: Buffer, { hostname, domains, received }: Node, isOurs = true): Buffer {
  const client = { address: "10.1.1.1", port: 1, helo: "exch01.corp.example.org", via: "network" } as const;
  const field = receivedField({
    client,
    hostname,
    queueId: "1",
    at: 0,
    smtpUtf8: false,
    received,
    hops: countHops(header),
  });
  return editHeader(
    header,
    { received, remove: DEFAULT_REMOVE, messageId: "rewrite" },
    {
      own: ownSide({ hostname, domains, isClientAddress: () => false }),
      isOurs,
      covered: new Set(),
      publicSigners: new Set(),
      received: field,
      messageIds: createMessageIds(Buffer.alloc(32), "example.org"),
    },
  ).header;
}

const INSIDE =
  "Received: from pc.corp.example.org ([10.1.1.2]) by exch01.corp.example.org; Tue, 24 Nov 2026 10:11:12 +0100\r\n";
const OUTSIDE = "Received: from a.third.example by b.third.example; Tue, 24 Nov 2026 10:11:12 +0100\r\n";
const REST = "From: anna@example.org\r\nSubject: s\r\n\r\n";
const node = (hostname: string, received: Mode, domains = ["example.org"]): Node => ({ hostname, domains, received });
const MODES = ["strip", "anonymize", "keep"] as const;

describe("hops of a message", () => {
  it.each(MODES)("are one more each time it passes us, with %s", (mode) => {
    let header: Buffer = Buffer.from(INSIDE + INSIDE + OUTSIDE + INSIDE + REST);
    for (let hops = 4; hops < 20; hops++) {
      expect(countHops(header)).toBe(hops);
      header = pass(header, node("relay.example.org", mode));
    }
  });
  it.each([
    ["with the same hostname", [node("relay.example.org", "strip")]],
    [
      "in another case and folded elsewhere",
      [node("relay.example.org", "strip")],
      (text: string) =>
        text
          .replace(/by relay\.example\.org \(sealpost\)/, "BY\r\n Relay.Example.ORG\r\n\t(sealpost)")
          .replace(/\(hop /, "(hop\r\n "),
    ],
    [
      "with Received fields of a server between us",
      [node("relay.example.org", "strip")],
      (text: string) => INSIDE + text,
    ],
    ["with those of a server that is not ours", [node("relay.example.org", "strip")], (text: string) => OUTSIDE + text],
    ["of two in one house", [node("a.example.org", "strip"), node("b.example.org", "strip")]],
    ["of two in one house, one of which keeps", [node("a.example.org", "strip"), node("b.example.org", "keep")]],
    [
      "of two that are strangers",
      [node("a.example.org", "strip"), node("b.third.example", "strip", ["third.example"])],
    ],
    [
      "of two that hide each other",
      [node("a.gateway.example", "strip", ["b.example"]), node("mx.b.example", "strip", ["gateway.example"])],
    ],
    [
      "of three, with anonymize",
      [node("a.example.org", "anonymize"), node("b.third.example", "anonymize", []), node("c.lan", "strip")],
    ],
  ] as const)(
    "end a loop %s after no more than 50 [RFC 5321 §6.3]",
    (...[, nodes, between = (text: string) => text]) => {
      let header: Buffer = Buffer.from(INSIDE + REST);
      let passes = 0;
      while (countHops(header) <= 50) {
        const at = nodes[passes % nodes.length];
        if (at === undefined || ++passes > 50) break;
        header = Buffer.from(between(pass(header, at).toString("latin1")), "latin1");
      }
      expect(passes).toBeLessThanOrEqual(50);
      expect(countHops(header)).toBe(51);
    },
  );
  it("of mail that only passes through are counted, too", () => {
    let header: Buffer = Buffer.from(OUTSIDE + REST);
    for (let at = 0; at < 5; at++) header = pass(header, node("relay.example.org", "strip"), false);
    expect(countHops(header)).toBe(6);
  });
});

it("the second pass changes nothing of what the first one left, but our field", () => {
  const withoutTop = (header: Buffer): string =>
    header.toString("latin1").replace(/^Received:.*\r\n(?:[ \t].*\r\n)*/, "");
  const first = pass(Buffer.from(`${INSIDE}Message-ID: <a@pc.corp>\r\n${REST}`), node("relay.example.org", "strip"));
  const second = pass(first, node("relay.example.org", "strip"));
  expect(withoutTop(second)).toBe(withoutTop(first));
  expect(withoutTop(first)).toMatch(/^Message-ID: <sp1\./);
});
