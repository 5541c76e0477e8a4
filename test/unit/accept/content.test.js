import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ContentRefused } from "../../../src/accept/content-refused.js";
import { readContent } from "../../../src/accept/content.js";
import { createLineEndings } from "../../../src/accept/line-endings.js";
async function* pieces(bytes, size) {
    for (let at = 0; at < bytes.length; at += size)
        yield bytes.subarray(at, at + size);
}
const rules = { messageSize: 10_000_000, normalizeBareLf: false };
async function read(content, size, change = {}) {
    const { header, body, isComplete } = await readContent(pieces(Buffer.from(content, "latin1"), size), {
        ...rules,
        ...change,
    });
    const chunks = [];
    for await (const chunk of body)
        chunks.push(chunk);
    return { header: header.toString("latin1"), body: Buffer.concat(chunks).toString("latin1"), complete: isComplete() };
}
const refusal = async (work) => {
    try {
        await work;
        return "accepted";
    }
    catch (error) {
        if (!(error instanceof ContentRefused))
            throw error;
        return `${error.reply.code} ${error.reply.enhancedCode}`;
    }
};
describe("content", () => {
    it.each([
        ["A: b\r\n\r\nbody\r\n", "A: b\r\n\r\n", "body\r\n"],
        ["A: b\r\n c\r\n\r\n\r\nbody\r\n", "A: b\r\n c\r\n\r\n", "\r\nbody\r\n"],
        ["A: b\r\n", "A: b\r\n\r\n", ""],
        ["\r\nbody\r\n", "\r\n", "body\r\n"],
        ["", "\r\n", ""],
        ["no field\r\nA: b\r\n\r\n", "\r\n", "no field\r\nA: b\r\n\r\n"],
        [" folded first\r\nA: b\r\n\r\n", "\r\n", " folded first\r\nA: b\r\n\r\n"],
        ["A: b\r\nno field\r\n\r\nbody\r\n", "A: b\r\n\r\n", "no field\r\n\r\nbody\r\n"],
        ["A : b\r\n\r\n", "A : b\r\n\r\n", ""],
        ["A: b\r\n\xe4: c\r\n\r\n", "A: b\r\n\r\n", "\xe4: c\r\n\r\n"],
    ])("%j is split the same way in pieces of any size [RFC 5322 §2.1]", async (content, header, body) => {
        for (const size of [1, 2, 3, 7, 1000])
            expect(await read(content, size)).toEqual({ header, body, complete: true });
    });
    it("loses and invents no byte but an empty line", async () => {
        const text = fc.array(fc.constantFrom("A: b", "\r\n", "\r\n\r\n", "x", " ", ":"), { maxLength: 30 });
        await fc.assert(fc.asyncProperty(text, fc.integer({ min: 1, max: 20 }), async (parts, size) => {
            const content = `${parts.join("")}\r\n`;
            const { header, body } = await read(content, size);
            const added = `${header}${body}` === content ? content : `${header.slice(0, -2)}${body}`;
            expect(added).toBe(content);
        }));
    });
    it("refuses what is too large while it arrives", async () => {
        expect(await refusal(read(`A: b\r\n\r\n${"x".repeat(5000)}\r\n`, 100, { messageSize: 1000 }))).toBe("552 5.3.4");
    });
    it("passes on what ended its source", async () => {
        async function* broken() {
            yield Buffer.from("A: b\r\n\r\nhalf");
            throw new Error("client gone");
        }
        const { body, isComplete } = await readContent(broken(), rules);
        await expect((async () => {
            for await (const chunk of body)
                void chunk;
        })()).rejects.toThrow("client gone");
        expect(isComplete()).toBe(false);
    });
});
describe("line endings", () => {
    const check = (text, cut, normalize) => {
        const endings = createLineEndings(normalize);
        const bytes = Buffer.from(text, "latin1");
        const out = [bytes.subarray(0, cut), bytes.subarray(cut)].map((part) => endings.check(part));
        endings.end();
        return Buffer.concat(out).toString("latin1");
    };
    const attempt = (text, cut, normalize) => {
        try {
            return check(text, cut, normalize);
        }
        catch (error) {
            if (error instanceof ContentRefused)
                return "refused";
            throw error;
        }
    };
    const text = fc
        .array(fc.constantFrom("\r", "\n", "\r\n", "a", "."), { maxLength: 20 })
        .map((parts) => parts.join(""));
    it("are CRLF only, wherever a chunk ends", () => {
        fc.assert(fc.property(text, fc.nat(25), (content, cut) => {
            const isLegal = !/\r(?!\n)|(?<!\r)\n/.test(content);
            expect(attempt(content, cut, false)).toBe(isLegal ? content : "refused");
        }), { numRuns: 2000 });
    });
    it("at the very start of a chunk are seen as well: a bare LF there was once let through", () => {
        expect(attempt("a\n.\n", 1, false)).toBe("refused");
        expect(attempt("\n", 0, false)).toBe("refused");
    });
    it("are repaired where that is allowed, LF alone and never CR", () => {
        fc.assert(fc.property(text, fc.nat(25), (content, cut) => {
            const hasBareCr = /\r(?!\n)/.test(content);
            const repaired = content.replace(/(?<!\r)\n/g, "\r\n");
            expect(attempt(content, cut, true)).toBe(hasBareCr ? "refused" : repaired);
        }), { numRuns: 2000 });
    });
});
