import { describe, expect, it } from "vitest";
import { findAddresses } from "../../../src/connect/addresses.ts";
import type { Lookup, Resolver } from "../../../src/connect/resolver.ts";
import type { DomainName } from "../../../src/mail/domain-name.ts";
import type { DnssecStatus } from "../../../src/mail/host.ts";

const NAME = "mx.example" as DomainName;

function answering(v4: DnssecStatus | "failed", v6: DnssecStatus | "failed"): Pick<Resolver, "lookup"> {
  const lookup = (status: DnssecStatus | "failed"): Lookup<never> =>
    status === "failed"
      ? { kind: "failed", detail: "no answer" }
      : { kind: "none", exists: true, dnssec: status, canonical: `${status}.example` as DomainName };
  return { lookup: async (_, type) => lookup(type === "A" ? v4 : v6) };
}

describe("the addresses of both IP versions are vouched for together [RFC 7672 §2.2.2]", () => {
  it.each<[DnssecStatus | "failed", DnssecStatus | "failed", DnssecStatus | undefined]>([
    ["secure", "secure", "secure"],
    ["secure", "insecure", "secure"],
    ["secure", "unknown", "secure"],
    ["secure", "failed", "secure"],
    ["unknown", "insecure", "unknown"],
    ["insecure", "insecure", "insecure"],
    ["insecure", "failed", "insecure"],
    ["untrusted", "failed", "untrusted"],
    ["failed", "failed", undefined],
  ])("%s and %s are %s", async (a, b, expected) => {
    const wanted = expected && { address: expected, expanded: `${expected}.example` };
    expect((await findAddresses(answering(a, b), NAME, [4, 6])).dnssec).toEqual(wanted);
    expect((await findAddresses(answering(b, a), NAME, [4, 6])).dnssec).toEqual(wanted);
  });
});
