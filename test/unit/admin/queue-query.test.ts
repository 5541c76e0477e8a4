import { describe, expect, it } from "vitest";
import { readQueueFilter } from "../../../src/admin/queue-query.ts";

const DAY = 86_400_000;
const id = "0123456789abcdef0123456789abcdef";

function read(given: Record<string, unknown>, paged = true) {
  return readQueueFilter(given, { now: 10 * DAY, paged });
}

describe("a queue filter", () => {
  it.each([
    ["nothing", {}, {}],
    ["a message", { id }, { id }],
    ["a delivery", { id: `${id}-3` }, { id: `${id}-3` }],
    ["a domain, in its one form", { domain: "Müller.EXAMPLE." }, { domain: "xn--mller-kva.example" }],
    ["an address literal", { domain: "[192.0.2.1]" }, { domain: "[192.0.2.1]" }],
    ["a partner", { partner: "acme" }, { partner: "acme" }],
    ["a sender", { sender: "Anna@Example.ORG" }, { sender: "Anna@example.org" }],
    ["the null sender", { sender: "<>" }, { sender: "" }],
    ["every sender of a domain", { sender: "@Example.ORG" }, { senderDomain: "example.org" }],
    ["a recipient", { recipient: "bea@acme.example" }, { recipient: "bea@acme.example" }],
    ["a reason", { reason: "smtp-4xx" }, { reason: "smtp-4xx" }],
    ["an age", { older_than: "2d" }, { before: 8 * DAY }],
    ["an age in minutes", { older_than: "90m" }, { before: 10 * DAY - 5_400_000 }],
    ["an instant", { before: "1970-01-02T00:00:00.000Z" }, { before: DAY }],
    ["a page", { limit: "20", after: "#17" }, { limit: 20, after: "#17" }],
    ["what is not there", { domain: undefined }, {}],
  ])("reads %s", (_, given, filter) => {
    expect(read(given)).toEqual({ filter });
  });

  it.each([
    ["an unknown word", { domian: "acme.example" }, "domain, partner"],
    ["a word of Object.prototype", { constructor: "x" }, "domain"],
    ["a domain that is none", { domain: "a b" }, "acme.example"],
    ["half an address", { sender: "anna" }, "whole address"],
    ["a sender's domain that is none", { sender: "@a b" }, "@example.org"],
    ["an id that is none", { id: "../../etc/passwd" }, "queue id"],
    ["an age without a unit", { older_than: "5" }, "30s, 15m"],
    ["an instant that is none", { before: "yesterday" }, "2026-11-25"],
    ["a negative age", { older_than: "-5m" }, "30s, 15m"],
    ["two of one", { domain: ["a.example", "b.example"] }, "once"],
    ["too large a page", { limit: "100000" }, "1 to 1000"],
    ["an empty page", { limit: "0" }, "1 to 1000"],
    ["a reason that there is not", { reason: "certificate-expird" }, "certificate-expired"],
    ["a word of Object.prototype as a reason", { reason: "toString" }, "certificate-expired"],
    ["a number", { reason: 4 }, "text"],
  ])("refuses %s and says what to write", (_, given, remedy) => {
    const answer = read(given);
    expect(answer).toHaveProperty("error");
    expect(answer).toHaveProperty("remedy", expect.stringContaining(remedy));
  });

  it("has no pages where something is done", () => {
    expect(read({ limit: "5" }, false)).toHaveProperty("error");
  });
});
