import { describe, expect, it } from "vitest";
import { decodeWords } from "../../../src/mail/encoded-words.ts";
import { fieldOf } from "../../../src/transform/header-block.ts";
import { withoutTags } from "../../../src/transform/subject-tag.ts";

const without = (subject: string, ...tags: string[]) =>
  withoutTags(fieldOf(Buffer.from(`Subject: ${subject}\r\n`)), tags).toString();

describe("the tag in a subject", () => {
  it.each([
    ["[tls] Hello", "Hello"],
    ["[TLS]Hello", "Hello"],
    ["Re: [tls] Hello", "Re: Hello"],
    ["Re: [tls] a [tls] b", "Re: a [tls] b"],
    ["[tls]\r\n folded", "folded"],
  ])("goes from %j: %j", (subject, expected) => expect(without(subject, "[tls]")).toBe(`Subject: ${expected}\r\n`));
  it("that is not there leaves the field as it is, octet for octet", () => {
    const field = fieldOf(Buffer.from("SUBJECT :  =?utf-8?Q?gr=C3=BC=C3=9Fe?=  \r\n\tmore\r\n"));
    expect(withoutTags(field, ["[tls]"])).toBe(field.raw);
  });
  it("goes from encoded-words, which are written anew in lines of at most 76 characters [RFC 2047 §2]", () => {
    const long = "Grüße an alle im Hause, auch an die, die ihn 漢字 lange nicht gesehen haben";
    const after = without(`=?utf-8?B?${Buffer.from(`[tls] ${long}`).toString("base64")}?=`, "[tls]");
    expect(after.split("\r\n").every((line) => line.length <= 76 + "Subject: ".length)).toBe(true);
    expect(decodeWords(after.slice("Subject: ".length).replaceAll("\r\n", ""))).toBe(long);
  });
  it("several go, each once", () => expect(without("[a] [b] c", "[b]", "[a]")).toBe("Subject: c\r\n"));
});
