import { describe, expect, it } from "vitest";
import { createMessageIds } from "../../../src/transform/message-ids.ts";
import { ownSide } from "../../../src/transform/own-side.ts";
import { createIdRewriter } from "../../../src/transform/rewrite-ids.ts";

const ids = createMessageIds(Buffer.alloc(32, 1), "example.org");
const own = ownSide({ hostname: "relay.example.org", domains: ["example.org"], isClientAddress: () => false });
const rewrite = (field: string): string => createIdRewriter(own, ids)(Buffer.from(field, "latin1")).toString("latin1");
/** `{x}` stands for the outward form of `<x>`. */
const outward = (text: string): string => text.replace(/\{([^}]*)\}/g, (_, id: string) => ids.outward(`<${id}>`));

describe("Message-IDs in a field", () => {
  it.each([
    ["of an inner host", "Message-ID: <a@pc.corp>\r\n", "Message-ID: {a@pc.corp}\r\n"],
    ["of a host below ours", "Message-ID: <a@exch01.example.org>\r\n", "Message-ID: {a@exch01.example.org}\r\n"],
    ["of a single label", "Message-ID: <a@EXCH01>\r\n", "Message-ID: {a@EXCH01}\r\n"],
    [
      "of one of our domains, as others know it",
      "References: <a@Example.org> <b@pc>\r\n",
      "References: <a@Example.org> {b@pc}\r\n",
    ],
    ["of the gateway itself", "Message-ID: <a@relay.example.org>\r\n", "Message-ID: <a@relay.example.org>\r\n"],
    ["of a private address", "Message-ID: <a@[10.1.1.1]>\r\n", "Message-ID: {a@[10.1.1.1]}\r\n"],
    ["of a private IPv6 address", "Message-ID: <a@[IPv6:fd00::1]>\r\n", "Message-ID: {a@[IPv6:fd00::1]}\r\n"],
    ["of nobody", "In-Reply-To: <12345>\r\n", "In-Reply-To: <12345>\r\n"],
    ["of an inner host without an @", "Message-ID: <1.pc.corp>\r\n", "Message-ID: {1.pc.corp}\r\n"],
    ["with quotes", 'Message-ID: <"a b"@pc.corp>\r\n', 'Message-ID: {"a b"@pc.corp}\r\n'],
    ["with 8-bit octets", "Message-ID: <\xfc@pc.corp>\r\n", "Message-ID: {\xfc@pc.corp}\r\n"],
    ["without brackets", "Message-ID: a@pc.corp\r\n", "Message-ID: {a@pc.corp}\r\n"],
    ["folded before it", "Message-ID:\r\n <a@pc.corp>\r\n", "Message-ID:\r\n {a@pc.corp}\r\n"],
    ["folded inside", "Message-ID: <a@\r\n pc.corp>\r\n", "Message-ID: {a@pc.corp}\r\n"],
    [
      "one of ours among others'",
      "References: <a@x.example>\r\n\t<b@pc.corp> <c@y.example>\r\n",
      "References: <a@x.example>\r\n\t{b@pc.corp} <c@y.example>\r\n",
    ],
    [
      "without blanks between them",
      "References: <a@pc.corp><b@pc.corp>,<c@y.example>\r\n",
      "References: {a@pc.corp}{b@pc.corp},<c@y.example>\r\n",
    ],
    [
      "with words around",
      'In-Reply-To: Your message of "Mon" <a@pc.corp> (x)\r\n',
      'In-Reply-To: Your message of "Mon" {a@pc.corp} (x)\r\n',
    ],
    ["outward already", `References: ${ids.outward("<a@pc.corp>")}\r\n`, "References: {a@pc.corp}\r\n"],
    ["empty", "References: <> <\r\n", "References: <> <\r\n"],
    ["none", "References:\r\n", "References:\r\n"],
    [
      "of others only",
      "References: <a@x.example>  <b@[192.0.2.1]>\r\n\t \r\n",
      "References: <a@x.example>  <b@[192.0.2.1]>\r\n\t \r\n",
    ],
  ])("%s", (_, field, expected) => expect(rewrite(field)).toBe(outward(expected)));

  it("that make a line too long are folded before an id, never within [RFC 5322 §2.1.1]", () => {
    for (const between of [" ", "", "\t"]) {
      const many = Array.from({ length: 30 }, (_, at) => `<${at}.0123456789@pc.corp>`);
      const lines = rewrite(`References:${between}${many.join(between)}\r\n`).split("\r\n");
      expect(lines.length).toBeGreaterThan(2);
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(998);
      expect(
        lines
          .join("")
          .match(/<[^<>]*>/g)
          ?.map(ids.inward),
      ).toEqual(many);
      expect(lines.slice(1, -1).every((line) => line.startsWith(" <"))).toBe(true);
    }
  });
  it.each([
    ["many blanks before it", `\r\n${" ".repeat(960)}<a@pc.corp>\r\n`],
    ["much text behind it", ` <a@pc.corp> (${"x ".repeat(450)})\r\n`],
    ["much text behind it without a blank", ` <a@pc.corp>${"x".repeat(960)}\r\n`],
    ["a long name before it", ` ${"x".repeat(950)} <a@pc.corp>\r\n`],
  ])("that make a line too long with %s are folded, too", (_, value) => {
    const lines = rewrite(`In-Reply-To:${value}`).split("\r\n");
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(998);
    expect(lines.slice(1, -1).every((line) => /^[ \t]+\S/.test(line))).toBe(true);
    expect(lines.join("").replace(/\s/g, "")).toBe(
      outward(`In-Reply-To:${value}`.replace("<", "{").replace(">", "}")).replace(/\s/g, ""),
    );
  });
  it("of more than 500 inner ones are left out from there on, and the time is bounded", () => {
    const field = `References:\r\n${Array.from({ length: 2000 }, (_, at) => ` <${at}@pc.corp>\r\n`).join("")}`;
    const start = performance.now();
    const found = rewrite(field);
    expect(performance.now() - start).toBeLessThan(2_000);
    expect(found.match(/<sp1\.[^<>]*>/g)).toHaveLength(500);
    expect(found).not.toMatch(/pc\.corp|\r\n[ \t]*\r\n/);
  });
});
