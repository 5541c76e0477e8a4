import { describe, expect, it } from "vitest";
import { addressBlock, clientKey, isInNetwork, normalAddress } from "../../../src/accept/networks.js";
import { readProxyHeader } from "../../../src/accept/proxy-header.js";
describe("a network", () => {
    it.each([
        ["10.1.2.3", "10.0.0.0", 8, true],
        ["11.1.2.3", "10.0.0.0", 8, false],
        ["10.1.9.7", "10.1.9.7", 32, true],
        ["10.1.9.6", "10.1.9.7", 32, false],
        ["192.168.129.1", "192.168.128.0", 17, true],
        ["192.168.127.1", "192.168.128.0", 17, false],
        ["1.2.3.4", "0.0.0.0", 0, true],
        ["::1", "0.0.0.0", 0, false],
        ["::ffff:10.1.2.3", "10.0.0.0", 8, true],
        ["::ffff:a01:203", "10.0.0.0", 8, true],
        ["10.1.2.3", "::ffff:10.0.0.0", 104, true],
        ["11.1.2.3", "::ffff:10.0.0.0", 104, false],
        ["2001:db8::1", "2001:db8::", 32, true],
        ["2001:db9::1", "2001:db8::", 32, false],
        ["2001:DB8:0:0:0:0:0:1", "2001:db8::1", 128, true],
        ["fe80::1%eth0", "fe80::", 10, true],
        ["::1", "::1", 128, true],
        ["1::", "1::", 16, true],
        ["not an address", "10.0.0.0", 8, false],
        ["10.1.2.3", "nonsense", 0, false],
    ])("%s in %s/%i: %s", (address, base, prefix, expected) => expect(isInNetwork(address, { address: base, prefix })).toBe(expected));
    it.each([
        ["::ffff:192.0.2.1", "192.0.2.1"],
        ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
        ["fe80::1%eth0", "fe80::1"],
    ])("%s is written %s", (address, expected) => expect(normalAddress(address)).toBe(expected));
    it("counts a client by its IPv4 address or its /64, guesses by /24 or /64", () => {
        expect(clientKey("192.0.2.1")).not.toBe(clientKey("192.0.2.2"));
        expect(clientKey("2001:db8::1")).toBe(clientKey("2001:db8::ffff:1"));
        expect(clientKey("2001:db8::1")).not.toBe(clientKey("2001:db8:0:1::1"));
        expect(addressBlock("192.0.2.1")).toBe(addressBlock("::ffff:192.0.2.200"));
        expect(addressBlock("192.0.2.1")).not.toBe(addressBlock("192.0.3.1"));
    });
});
describe("a PROXY header", () => {
    const v1 = "PROXY TCP4 192.0.2.1 192.0.2.2 4000 25\r\n";
    it("is incomplete until its last byte, and never longer than it is", () => {
        for (let length = 0; length < v1.length; length++)
            expect(readProxyHeader(Buffer.from(v1.slice(0, length)))).toEqual({ kind: "incomplete" });
        expect(readProxyHeader(Buffer.from(`${v1}EHLO a\r\n`))).toEqual({
            kind: "read",
            length: v1.length,
            source: { address: "192.0.2.1", port: 4000 },
        });
    });
    it.each([
        "proxy TCP4 192.0.2.1 192.0.2.2 4000 25\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 4000\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 4000 25 1\r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 4000 25\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 04000 25\r\n",
        "PROXY TCP6 fe80::1%eth0 ::1 4000 25\r\n",
        "PROXY UNIX a b c d\r\n",
        "GET / HTTP/1.1\r\n",
    ])("%j is none", (text) => expect(readProxyHeader(Buffer.from(text)).kind).toBe("bad"));
});
