import { expect, it } from "vitest";
import { reverseName } from "../../../src/connect/reverse-name.ts";

it.each([
  ["192.0.2.1", "1.2.0.192.in-addr.arpa"],
  ["2001:db8::567:89ab", "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"],
  ["2001:DB8:0:0:0:0:567:89AB", "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"],
  ["::1", `1.${"0.".repeat(31)}ip6.arpa`],
  ["fe80::", `${"0.".repeat(28)}0.8.e.f.ip6.arpa`],
  ["::ffff:1.2.3.4", `4.0.3.0.2.0.1.0.f.f.f.f.${"0.".repeat(20)}ip6.arpa`],
])("names %s in reverse [RFC 1035 §3.5, RFC 3596 §2.5]", (address, name) => {
  expect(reverseName(address)).toBe(name);
});
