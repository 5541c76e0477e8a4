import { describe, expect, it } from "vitest";
import { countHops } from "../../../src/mail/hop-count.ts";
import { type Hop, receivedField } from "../../../src/transform/received.ts";

const hop = (over: Partial<Hop["client"]> = {}, more: Partial<Hop> = {}): Hop => ({
  client: { address: "192.0.2.1", port: 1, helo: "pc.example.org", via: "network", ...over },
  hostname: "relay.example.org",
  queueId: "id1",
  at: Date.UTC(2026, 10, 24, 1, 2, 3),
  smtpUtf8: false,
  received: "keep",
  hops: 3,
  ...more,
});
const tls = { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" };

describe("our Received field [RFC 5321 §4.4]", () => {
  it("names client, server, protocol, id and date", () => {
    expect(receivedField(hop()).toString()).toBe(
      "Received: from pc.example.org ([192.0.2.1])\r\n\tby relay.example.org (sealpost) with ESMTP id id1 (hop 3);\r\n\tTue, 24 Nov 2026 01:02:03 +0000\r\n",
    );
  });
  it.each(["strip", "anonymize"] as const)(
    "tells nothing of the client with %s, but how it was spoken to",
    (received) => {
      const client = { tls, helo: "exch01.corp.example.org", name: "exch01", user: "anna", via: "auth" } as const;
      expect(receivedField(hop(client, { received })).toString()).toBe(
        "Received: by relay.example.org (sealpost) with ESMTPSA id id1\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)\r\n\t(hop 3);\r\n\tTue, 24 Nov 2026 01:02:03 +0000\r\n",
      );
    },
  );
  it.each([
    [{}, false, "ESMTP"],
    [{ tls }, false, "ESMTPS"],
    [{ tls, via: "auth" }, false, "ESMTPSA"],
    [{ tls }, true, "UTF8SMTPS"],
  ] as const)("%j is with %s %s [RFC 3848, RFC 6531 §4.3]", (over, smtpUtf8, expected) =>
    expect(receivedField(hop(over, { smtpUtf8 })).toString()).toContain(` with ${expected} id`),
  );
  it.each(["keep", "strip"] as const)("is counted again as what it says, with %s", (received) => {
    const header = Buffer.concat([receivedField(hop({ tls }, { received })), Buffer.from("\r\n")]);
    expect(countHops(header)).toBe(4);
  });
  it("lets nothing of the client's through but names and tokens", () => {
    const hostile = hop({ helo: "x\r\nBcc: all@example.org", tls: { version: "TLS\r\nX: y", cipher: "(;)" } });
    expect(
      receivedField(hostile)
        .toString()
        .split("\r\n")
        .slice(0, -1)
        .every((line, i) => i === 0 || line.startsWith("\t")),
    ).toBe(true);
    expect(receivedField(hostile).toString()).not.toContain("Bcc");
  });
  it("writes IPv6 addresses as literals", () => {
    expect(receivedField(hop({ address: "2001:db8::1" })).toString()).toContain("([IPv6:2001:db8::1])");
  });
});
