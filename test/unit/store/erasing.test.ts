import { describe, expect, it } from "vitest";
import { withoutAddress } from "../../../src/store/erasing.ts";

const anna = "anna@acme.example";

describe("an address in a text", () => {
  it.each([
    ["alone", "anna@acme.example", "erased"],
    ["in any case", "ANNA@Acme.Example", "erased"],
    ["in angle brackets", "<anna@acme.example>: Recipient address rejected", "<erased>: Recipient address rejected"],
    ["at the end of a sentence", "no mailbox for anna@acme.example.", "no mailbox for erased."],
    ["twice", "anna@acme.example anna@acme.example", "erased erased"],
    ["on a line of its own", "first\nanna@acme.example\nlast", "first\nerased\nlast"],
    ["behind a word and a sign", "user='anna@acme.example'", "user='erased'"],
    ["as a link", "mailto:anna@acme.example?subject=x", "mailto:erased?subject=x"],
    ["as original recipient [RFC 3461 §4.2]", "rfc822;anna@acme.example", "rfc822;erased"],
    ["in xtext, brackets and all [RFC 3461 §4]", "AUTH=+3Canna+40acme.example+3E", "AUTH=+3Cerased+3E"],
    ["percent-encoded", "https://acme.example/?to=anna%40acme.example&x", "https://acme.example/?to=erased&x"],
    ["quoted [RFC 5321 §4.1.2]", 'no "anna"@acme.example here', "no erased here"],
    ["of somebody whose address ends like it", "joanna@acme.example", "joanna@acme.example"],
    ["of somebody whose address ends like it behind a dot", "x.anna@acme.example", "x.anna@acme.example"],
    ["in a longer domain", "anna@acme.example.org", "anna@acme.example.org"],
    ["in a longer label", "anna@acme.example-x", "anna@acme.example-x"],
    ["of nobody", "nothing here", "nothing here"],
  ])("%s", (_, reason, expected) => expect(withoutAddress({ reason }, anna)).toEqual({ reason: expected }));

  it.each([
    ["with a plus, in xtext", "anna+news@acme.example", "anna+2Bnews@acme.example refused", "erased refused"],
    ["with signs that mean something in patterns", "a.b*c|d@acme.example", "to a.b*c|d@acme.example", "to erased"],
    ["the same but for a sign", "a.b@acme.example", "axb@acme.example", "axb@acme.example"],
    [
      "of a domain in its other form",
      "anna@xn--mnchen-3ya.example",
      "<anna@münchen.example> unknown",
      "<erased> unknown",
    ],
    ["in another script", "пётр@acme.example", "<ПЁТР@acme.example>", "<erased>"],
    ["of a quoted local part", '"anna b"@acme.example', 'for "Anna B"@acme.example', "for erased"],
    ["of an address literal", "anna@[192.0.2.1]", "<anna@[192.0.2.1]>", "<erased>"],
  ])("%s", (_, address, reason, expected) => expect(withoutAddress({ reason }, address)).toEqual({ reason: expected }));
});

describe("a field that is an address", () => {
  it("is erased when it is the same mailbox, however it is written", () => {
    const fields = {
      sender: '"Anna"@ACME.example',
      recipients: [anna, "bea@acme.example"],
      outcome: [{ recipient: anna }],
    };
    expect(withoutAddress(fields, anna)).toEqual({
      sender: "erased",
      recipients: ["erased", "bea@acme.example"],
      outcome: [{ recipient: "erased" }],
    });
  });

  it.each(["x=anna@acme.example", "'anna@acme.example", "o'anna@acme.example"])(
    "is left when it is another mailbox: %s",
    (other) => {
      const fields = { sender: other, recipients: [other] };
      expect(withoutAddress(fields, anna)).toBe(fields);
    },
  );
});

describe("a name without its domain", () => {
  it("goes from the sentences of an entry that is about it", () => {
    const fields = {
      recipients: [anna],
      smtp: { code: 550, text: "User anna unknown; anna@other.example, joanna and anna.b@acme.example stay" },
      detail: "(anna)",
      reason: "anna",
    };
    expect(withoutAddress(fields, anna)).toEqual({
      recipients: ["erased"],
      smtp: { code: 550, text: "User erased unknown; anna@other.example, joanna and anna.b@acme.example stay" },
      detail: "(erased)",
      reason: "anna",
    });
  });

  it("stays where the entry is about others, and where it is hardly a name", () => {
    const others = { recipients: ["bea@acme.example"], detail: "anna is away" };
    expect(withoutAddress(others, anna)).toBe(others);
    expect(withoutAddress({ sender: "a@acme.example", detail: "a bad day" }, "a@acme.example")).toEqual({
      sender: "erased",
      detail: "a bad day",
    });
  });
});

it("data without the address is the same data", () => {
  const fields = { a: 1, b: null, c: [true, undefined, { d: "x" }], sender: "", recipients: [] };
  expect(withoutAddress(fields, anna)).toBe(fields);
  expect(withoutAddress(fields, "no address")).toBe(fields);
});

it("takes time that grows with the text alone", () => {
  for (const piece of ["anna@", "anna@acme.", "+3Canna", "a", "@acme.example"]) {
    const text = piece.repeat(200_000 / piece.length);
    const before = performance.now();
    withoutAddress({ text, sender: anna }, anna);
    expect(performance.now() - before).toBeLessThan(5_000);
  }
});
