/** No text, however odd, makes the loader throw or hang; no key reaches a prototype; no secret reaches a message. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BASE, gateway, load, NOW, partner, problems, settings } from "./memory.ts";

const PIECES = [
  "a",
  "hostname",
  ":",
  ": ",
  "\n",
  "  ",
  "- ",
  "[",
  "]",
  "{",
  "}",
  ",",
  "&x ",
  "*x",
  "*",
  "!t ",
  "!!str ",
  "'",
  '"',
  "|",
  ">",
  "#",
  "?",
  "\t",
  "${A}",
  "${",
  "<<",
  "---\n",
  "%YAML 1.1\n",
  "__proto__",
  "constructor",
  "outbound",
  "tls",
  "level",
  "secure",
  "listeners",
  "domains",
  "exceptions",
  "0x1",
  "1e9",
  "null",
  "~",
  "\ufeff",
  "\u0000",
  "\ud800",
  "ü",
  "\r\n",
];
const keys = fc.constantFrom(
  "hostname",
  "tls",
  "listeners",
  "domains",
  "outbound",
  "queue",
  "match_sets",
  "exceptions",
  "level",
  "match",
  "next_hop",
  "clients",
  "certificates",
  "auth",
  "until",
  "to",
  "name",
  "__proto__",
  "constructor",
  "toString",
  "",
  "x",
);
const leaf = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.boolean(),
  fc.double(),
  fc.constant(null),
  fc.constantFrom("secure", "mx", "set:a", "127.0.0.1", "2026-12-31", "5m", "${A}", "any", "own"),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.array(tie("tree"), { maxLength: 4 }),
    fc.array(fc.tuple(keys, tie("tree")), { maxLength: 6 }).map((pairs) => Object.fromEntries(pairs)),
  ),
}));

/** Ends in a value, and names a place inside the text for each problem. */
async function loads(text: string, as: "sealpost.yaml" | "partners/p.yaml"): Promise<void> {
  const loaded = await load(as === "sealpost.yaml" ? { [as]: text } : { "sealpost.yaml": BASE, [as]: text });
  if (loaded.ok) return;
  expect(loaded.problems.length).toBeGreaterThan(0);
  for (const { line, column, message, remedy } of loaded.problems) {
    expect(line).toBeGreaterThan(0);
    expect(column).toBeGreaterThan(0);
    expect(line).toBeLessThanOrEqual(text.split("\n").length);
    expect(message).not.toMatch(/[\x00-\x1f]|undefined|\[object/);
    expect(remedy).not.toBe("");
  }
}

describe("no input throws", () => {
  const parts = fc.array(fc.constantFrom(...PIECES), { maxLength: 40 }).map((pieces) => pieces.join(""));
  it.each(["sealpost.yaml", "partners/p.yaml"] as const)("whatever is pieced together as %s", (as) =>
    fc.assert(
      fc.asyncProperty(parts, (text) => loads(text, as)),
      { numRuns: 100 },
    ),
  );
  it.each(["sealpost.yaml", "partners/p.yaml"] as const)("whatever tree stands in %s", (as) =>
    fc.assert(
      fc.asyncProperty(tree, (value) => loads(JSON.stringify(value), as)),
      { numRuns: 100 },
    ),
  );
  it("whatever is put behind a known key", () =>
    fc.assert(
      fc.asyncProperty(keys, tree, (key, value) =>
        loads(`${BASE}${JSON.stringify(key)}: ${JSON.stringify(value)}\n`, "sealpost.yaml"),
      ),
      { numRuns: 100 },
    ));
  it("nor any single character changed in a good file", () =>
    fc.assert(
      fc.asyncProperty(fc.nat(BASE.length), fc.constantFrom(...PIECES), (at, piece) =>
        loads(BASE.slice(0, at) + piece + BASE.slice(at + 1), "sealpost.yaml"),
      ),
      { numRuns: 100 },
    ));
});

describe("bombs", () => {
  it.each<[string, string]>([
    ["nested lists", "a: " + "[".repeat(60) + "]".repeat(60)],
    ["lists nested beyond the parser's stack", "a: " + "[".repeat(20_000)],
    ["block lists nested beyond the parser's stack", "a:\n" + "- ".repeat(20_000) + "x"],
    ["an alias of itself", "a: &a [*a]"],
    [
      "aliases that double at each step",
      ["a0: &a0 [x]", ...Array.from({ length: 40 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`)].join("\n"),
    ],
    ["more aliases than anybody needs", `a: &a x\nb: [${"*a, ".repeat(200)}]`],
    ["very many keys", Array.from({ length: 3_000 }, (_, i) => `k${i}: 1`).join("\n")],
    ["very many keys of one name", "k: 1\n".repeat(3_000)],
    ["very many scalars", `a: [${"1,".repeat(10_000)}]`],
  ])("%s are refused soon", async (_, text) => {
    const begin = performance.now();
    expect((await problems({ "sealpost.yaml": text })).length).toBeGreaterThan(0);
    expect(performance.now() - begin).toBeLessThan(3000);
  });
});

describe("keys of prototypes", () => {
  it.each(["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"])(
    "%s is unknown at every depth",
    async (key) => {
      expect(await problems(gateway(`${key}: {level: may}\noutbound: {${key}: x, tls: {${key}: 1}}\n`))).toHaveLength(
        3,
      );
      expect(({} as Record<string, unknown>)["level"]).toBeUndefined();
    },
  );
  it("constructor is a name like any other where names are free", async () => {
    const tree = partner(
      "domains: a.example\noutbound: {tls: {level: secure, match: set:constructor}}\n",
      "match_sets: {constructor: [.x.example]}\n",
    );
    expect((await settings(tree)).policy.partners[0]?.outbound.tls.match).toEqual([{ below: "x.example" }]);
  });
  it("toString is no set that anybody defined", async () =>
    expect(
      await problems(partner("domains: a.example\noutbound: {tls: {level: secure, match: set:toString}}\n")),
    ).toHaveLength(1));
  it("toString is no variable of the environment", async () =>
    expect(await problems(gateway("admin: \n  port: ${toString}\n"))).toHaveLength(1));
});

describe("secrets", () => {
  it("of the environment stand in no message", async () => {
    const found = await problems(gateway('log: {level: info, to: ["${SECRET}"]}\nadmin:\n  port: [1]\n'), {
      SECRET: "s3cret",
    });
    expect(found.length).toBeGreaterThan(0);
    expect(found.join("\n")).not.toContain("s3cret");
  });
  it("of a users file stand in no message", async () =>
    expect(
      (
        await problems({
          "sealpost.yaml": `hostname: a.example\nlisteners: [{auth: {users_file: u}}]\n`,
          u: "anna s3cret own\n",
        })
      ).join("\n"),
    ).not.toContain("s3cret"));
});

it("the day of the tests is fixed", () => expect(new Date(NOW).toISOString()).toBe("2026-11-24T12:00:00.000Z"));
