import { describe, expect, it } from "vitest";
import { type Asked, createRequestGuard } from "../../../src/admin/request-guard.ts";
import type { Clock } from "../../../src/runtime/clock.ts";

const TOKEN = "t".repeat(43);

function guard(address = "127.0.0.1") {
  let at = 0;
  const clock: Clock = {
    now: () => 0,
    monotonic: () => at,
    sleep: () => Promise.resolve(),
    after: () => () => undefined,
  };
  const judge = createRequestGuard({ token: TOKEN, address, clock });
  return {
    ask: (over: Partial<Asked> = {}) =>
      judge({
        address: "127.0.0.1",
        route: "/api/v1/queue",
        host: "127.0.0.1:8025",
        origin: undefined,
        authorization: `Bearer ${TOKEN}`,
        ...over,
      })?.status,
    later: (ms: number) => {
      at += ms;
    },
    full: (over: Partial<Asked>) =>
      judge({
        address: "127.0.0.1",
        route: "/x",
        host: "localhost",
        origin: undefined,
        authorization: undefined,
        ...over,
      }),
  };
}

describe("the guard of the admin listener", () => {
  it.each([
    ["the right token", {}, undefined],
    ["the right token, scheme in another case", { authorization: `bearer ${TOKEN}` }, undefined],
    ["no token", { authorization: undefined }, 401],
    ["a wrong token", { authorization: "Bearer nonsense" }, 401],
    ["a token that only begins right", { authorization: `Bearer ${TOKEN}x` }, 401],
    ["a token that ends too early", { authorization: `Bearer ${TOKEN.slice(1)}` }, 401],
    ["another scheme", { authorization: `Basic ${TOKEN}` }, 401],
    ["no token for a path that does not exist", { route: undefined, authorization: undefined }, 401],
    ["health without a token", { route: "/healthz", authorization: undefined }, undefined],
    ["readiness without a token", { route: "/readyz", authorization: undefined }, undefined],
    ["metrics without a token", { route: "/metrics", authorization: undefined }, undefined],
    ["a page of the same machine", { origin: "http://127.0.0.1:8025" }, 403],
    ["a page without an origin of its own", { origin: "null" }, 403],
  ] as const)("given %s answers as it must", (_, asked, status) => {
    expect(guard().ask(asked)).toBe(status);
  });

  it.each(["localhost", "localhost:8025", "127.0.0.1", "127.9.9.9:1", "[::1]", "[::1]:8025", "LOCALHOST"])(
    "knows the Host %s as its own",
    (host) => expect(guard().ask({ host })).toBeUndefined(),
  );

  it.each([
    undefined,
    "",
    "evil.example",
    "evil.example:8025",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "192.0.2.1",
    "[::2]",
    "a@localhost",
    "localhost:8025:1",
  ])("refuses the Host %s, even with the token [DNS rebinding]", (host) => {
    expect(guard().ask({ host })).toBe(403);
    expect(guard().ask({ host, route: "/metrics" })).toBe(403);
  });

  it("after ten wrong tokens in a minute tells one address to wait, and no other", () => {
    const { ask, later } = guard();
    const wrong = { authorization: "Bearer wrong" };
    for (let i = 0; i < 10; i++) expect(ask(wrong)).toBe(401);
    expect(ask(wrong)).toBe(429);
    expect(ask({ ...wrong, address: "127.0.0.2" })).toBe(401);
    later(60_000);
    expect(ask(wrong)).toBe(401);
  });

  it("lets the right token in while others guess: guessing must not lock the administrator out", () => {
    const { ask } = guard();
    for (let i = 0; i < 50; i++) ask({ authorization: "Bearer wrong" });
    expect(ask()).toBeUndefined();
  });

  it.each([
    ["guessing", { authorization: "Bearer wrong" }],
    ["asking without a token", { authorization: undefined }],
    ["a page that keeps trying", { origin: "http://evil.example" }],
  ])("%s does not fill the log", (_, asked) => {
    const { full } = guard();
    const denials = Array.from({ length: 20 }, () => full(asked));
    expect(denials).not.toContain(undefined);
    expect(denials.filter((denial) => denial?.silent !== true)).toHaveLength(11);
  });
});
