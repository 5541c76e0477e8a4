import { expect, it } from "vitest";
import { findHeaderEnd } from "../../../src/accept/header-end.ts";
import { createLineEndings } from "../../../src/accept/line-endings.ts";
import { messages } from "../../corpus/messages.ts";

it("the corpus has at least 200 messages, each with a name and octets of its own", () => {
  expect(messages.length).toBeGreaterThanOrEqual(200);
  expect(new Set(messages.map(({ name }) => name)).size).toBe(messages.length);
  const whole = messages.map(({ header, body }) => Buffer.concat([header, body]).toString("latin1"));
  expect(new Set(whole).size).toBe(messages.length);
});

it("the corpus is mail as it is accepted: whole lines, header and body told apart", () => {
  const refused = messages.flatMap(({ name, header, body }) => {
    const message = Buffer.concat([header, body]);
    const check = createLineEndings(false);
    check.check(message);
    check.end();
    const end = findHeaderEnd()(message, true);
    const fits = end.kind === "found" && end.at === header.length && !end.addEmptyLine && !header.includes(0);
    return fits ? [] : [`${name}: ${JSON.stringify(end)}`];
  });
  expect(refused).toEqual([]);
});
