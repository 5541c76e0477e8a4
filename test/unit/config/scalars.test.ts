/** The written forms of single values, and what is near enough to be meant. */
import { describe, expect, it } from "vitest";
import { nearest } from "../../../src/config/problems.ts";
import {
  dayOf,
  isLoopback,
  networkBase,
  parseDigest,
  parseDuration,
  parseLastDay,
  parseNamePattern,
  parseNetwork,
  parseSize,
} from "../../../src/config/scalars.ts";
import { formatUser, parseUsers } from "../../../src/config/users.ts";

describe("durations, sizes, dates", () => {
  it.each([
    ["30s", 30_000],
    ["5m", 300_000],
    ["4h", 14_400_000],
    ["5d", 432_000_000],
    ["2y", 63_072_000_000],
    ["100ms", 100],
    ["0s", 0],
    ["11y", undefined],
    ["5", undefined],
    ["-5s", undefined],
    ["5 m", undefined],
    ["1.5h", undefined],
    ["9999999999s", undefined],
  ])("%s is %s ms", (text, expected) => expect(parseDuration(text)).toBe(expected));
  it.each([
    ["50MiB", 52_428_800],
    ["1GiB", 1_073_741_824],
    ["10 MB", 10_000_000],
    ["7B", 7],
    ["50", undefined],
    ["50mib", undefined],
  ])("%s is %s octets", (text, expected) => expect(parseSize(text)).toBe(expected));
  it.each([
    ["2026-12-31", Date.UTC(2027, 0, 1)],
    ["2028-02-29", Date.UTC(2028, 2, 1)],
    ["2027-02-29", undefined],
    ["2027-13-01", undefined],
    ["2027-1-1", undefined],
    ["31.12.2026", undefined],
  ])("%s ends at %s", (text, expected) => expect(parseLastDay(text)).toBe(expected));
  it("a day is that of UTC", () => expect(dayOf(Date.UTC(2026, 0, 2) - 1)).toBe("2026-01-01"));
});

describe("networks", () => {
  it.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["192.0.2.7", "192.0.2.7/32"],
    ["::1", "::1/128"],
    ["2001:DB8::/32", "2001:db8::/32"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["10.0.0.0/33", undefined],
    ["10.0.0.0/08", undefined],
    ["10.0.0/8", undefined],
    ["::/129", undefined],
    ["fe80::1%eth0", undefined],
    ["example.org", undefined],
  ])("%s is %s", (text, expected) => {
    const network = parseNetwork(text);
    expect(network && `${network.address}/${network.prefix}`).toBe(expected);
  });
  it.each([
    ["10.1.9.7/8", "10.0.0.0"],
    ["10.1.9.7/25", "10.1.9.0"],
    ["10.1.9.7/32", "10.1.9.7"],
    ["10.1.9.7/0", "0.0.0.0"],
    ["2001:db8::1/32", "2001:db8::"],
    ["2001:db8:0:1::/48", "2001:db8::"],
    ["::ffff:192.0.2.1/120", "::ffff:c000:200"],
    ["::ffff:192.0.2.1/128", "::ffff:192.0.2.1"],
  ])("%s begins at %s", (text, expected) => expect(networkBase(parseNetwork(text)!)).toBe(expected));
  it.each([
    ["127.0.0.1", true],
    ["127.9.9.9", true],
    ["::1", true],
    ["0:0:0:0:0:0:0:1", true],
    ["10.0.0.1", false],
    ["::2", false],
    ["0.0.0.0", false],
  ])("%s is loopback: %s", (address, expected) => expect(isLoopback(address)).toBe(expected));
});

describe("digests and names", () => {
  const hex = "0123456789abcdef".repeat(4);
  it.each([
    [hex, hex],
    [hex.toUpperCase(), hex],
    [hex.match(/../g)!.join(":"), hex],
    [hex.slice(1), undefined],
    [hex.replace("0123", "01:23"), undefined],
    [`${hex}0`, undefined],
  ])("%s", (text, expected) => expect(parseDigest(text)).toBe(expected));
  it.each([
    ["acme.example", { host: "acme.example" }],
    [".acme.example", { below: "acme.example" }],
    ["*.acme.example", { below: "acme.example" }],
    ["ACME.example.", { host: "acme.example" }],
    ["mx.*.example", undefined],
    ["*acme.example", undefined],
    ["*", undefined],
    ["..acme.example", undefined],
  ])("%s", (text, expected) => expect(parseNamePattern(text)).toEqual(expected));
});

it.each([
  ["levle", "level"],
  ["min-version", "min_version"],
  ["nexthop", "next_hop"],
  ["Level", "level"],
  ["x", undefined],
  ["certificate", undefined],
  ["l".repeat(1000), undefined],
])("%s is near to %s", (word, expected) =>
  expect(nearest(word, ["level", "match", "min_version", "next_hop"])).toBe(expected),
);

it("a user is read back as it was written", () => {
  const user = {
    name: "anna@example.org",
    password: `scrypt:32768:8:3:${"A".repeat(22)}==:${"B".repeat(43)}=`,
    senders: ["a@example.org", "*@b.example"],
  };
  expect(parseUsers(`${formatUser(user)}\n`)).toEqual({ users: [user], flaws: [] });
});
