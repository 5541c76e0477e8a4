import { describe, expect, it } from "vitest";
import { gateway, settings } from "./memory.ts";

const written = (resolver: string, more = "") => gateway(`dns: {resolvers: ["${resolver}"]${more}}\n`);
const machine = (text: string, more = "") => ({
  ...gateway(`dns: {timeout: 5s${more}}\n`),
  "/etc/resolv.conf": text,
});
const believed = async (tree: Parameters<typeof settings>[0]) =>
  (await settings(tree)).dns.resolvers.map(({ trustAd }) => trustAd === true);

describe("trust_ad: auto believes the AD bit", () => {
  it.each<[string, boolean, ReturnType<typeof gateway>]>([
    ["of a resolver over TLS", true, written("tls://9.9.9.9#dns.quad9.net")],
    ["of one on loopback that is written", true, written("127.0.0.1")],
    ["of another address of loopback", true, written("127.0.0.53:5353")],
    ["of one on the IPv6 loopback", true, written("[::1]:53")],
    ["not of one elsewhere", false, written("10.0.0.1")],
    ["not of one elsewhere over IPv6", false, written("2001:db8::53")],
    ["not of Docker's", false, written("127.0.0.11")],
    ["not of Docker's under another port or form", false, written("[::ffff:127.0.0.11]:5353")],
    ["not of resolv.conf", false, machine("nameserver 127.0.0.1\n")],
    ["of resolv.conf with options trust-ad", true, machine("nameserver 127.0.0.53\noptions edns0 trust-ad\n")],
    ["of resolv.conf with several options", true, machine("options ndots:2\noptions\ttrust-ad\nnameserver 10.0.0.1\n")],
    ["not of resolv.conf where it is another option", false, machine("nameserver 127.0.0.1\noptions no-trust-ad\n")],
    ["not of resolv.conf where it is a remark", false, machine("nameserver 127.0.0.1\n# options trust-ad\n")],
    ["not of Docker's in resolv.conf", false, machine("nameserver 127.0.0.11\noptions edns0 trust-ad\n")],
    ["not where resolv.conf names nobody", false, machine("search example.org\n")],
  ])("%s", async (_, expected, tree) => expect(await believed(tree)).toEqual([expected]));

  it("of each resolver for itself", async () => {
    const tree = gateway('dns: {resolvers: ["127.0.0.1", "10.0.0.1"]}\n');
    expect(await believed(tree)).toEqual([true, false]);
  });
});

it.each<[string, boolean, ReturnType<typeof gateway>]>([
  ["always believes any resolver", true, written("10.0.0.1", ", trust_ad: always")],
  ["always believes resolv.conf", true, machine("nameserver 10.0.0.1\n", ", trust_ad: always")],
  ["never believes none on loopback", false, written("127.0.0.1", ", trust_ad: never")],
  ["never believes none over TLS", false, written("tls://9.9.9.9#dns.quad9.net", ", trust_ad: never")],
  ["never overrides resolv.conf", false, machine("nameserver ::1\noptions trust-ad\n", ", trust_ad: never")],
])("trust_ad: %s", async (_, expected, tree) => expect(await believed(tree)).toEqual([expected]));

it("resolvers over TLS are certified by tls.trust", async () =>
  expect((await settings(gateway(""))).dns.trust).toMatchObject({ ca: "system" }));
