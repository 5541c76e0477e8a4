/** What an MTA-STS policy demands of real sessions: the certificate under `trust` or the partner's `ca`, and the MX host's name. */
import { afterEach, describe, expect, it } from "vitest";
import type { TlsPolicy } from "../../src/decide/policy.ts";
import type { DomainName } from "../../src/mail/domain-name.ts";
import type { MtaStsFacts } from "../../src/mail/published.ts";
import { createAuthority, type Issued, selfSigned } from "../peers/certificates.ts";
import { type MxOptions, type MxServer, startMx } from "../peers/mx-server.ts";
import { type Attempted, hostOf, policy, type WayOut, wayOut } from "../peers/outgoing.ts";

const ca = createAuthority("Trusted CA");
const offering = ({ chain, key }: Issued): MxOptions => ({ tls: { certificate: chain, key } });
const good = offering(ca.issue({ names: ["mx.acme.test"] }));

const sts = (mode: "enforce" | "testing" | "none", ...mx: string[]): MtaStsFacts => ({
  kind: "policy",
  domain: "acme.test" as DomainName,
  id: "1",
  mode,
  mx,
  expiresAt: 0,
});
const enforce = sts("enforce", "*.acme.test");

let mx: MxServer;
let out: WayOut;
afterEach(async () => {
  out.stop.abort();
  await mx.close();
});

async function tried(peer: MxOptions, mtaSts: MtaStsFacts, bent: Partial<TlsPolicy> = {}): Promise<Attempted> {
  mx = await startMx(peer);
  out = wayOut();
  return out.attempt(hostOf(mx), policy(ca, { level: "may", ...bent }), { published: { mtaSts } });
}

describe("an enforced policy", () => {
  it("lets mail cross to a host that it names and that proves its name [RFC 8461 §4.2]", async () => {
    const { verdict } = await tried(good, enforce);
    expect(verdict).toMatchObject({ authenticatedBy: "private-ca", matched: "mx.acme.test" });
    expect(mx.messages).toMatchObject([{ secure: true, complete: true }]);
  });

  it.each<[string, MxOptions, MtaStsFacts, string]>([
    ["is not in the policy [RFC 8461 §4.1]", good, sts("enforce", "mx2.acme.test"), "mx-not-in-policy"],
    ["is deeper than the wildcard reaches", good, sts("enforce", "*.test"), "mx-not-in-policy"],
    [
      "shows the domain's name, not its own",
      offering(ca.issue({ names: ["acme.test"] })),
      enforce,
      "certificate-host-mismatch",
    ],
    [
      "shows a certificate that nobody trusts",
      offering(selfSigned({ names: ["mx.acme.test"] })),
      enforce,
      "certificate-not-trusted",
    ],
    [
      "shows a certificate that has expired",
      offering(ca.issue({ names: ["mx.acme.test"], notAfter: new Date(Date.now() - 1000) })),
      enforce,
      "certificate-expired",
    ],
    ["offers no STARTTLS", { starttls: "absent" }, enforce, "starttls-not-supported"],
    ["breaks the handshake off", { ...good, starttls: "drop" }, enforce, "validation-failure"],
    ["has a policy that is not known", good, { kind: "unknown", detail: "SERVFAIL" }, "dns-failed"],
  ])("keeps mail from a host that %s, also at level may", async (_, peer, facts, reason) => {
    expect((await tried(peer, facts)).problem).toMatchObject({ kind: "deferred", reason });
    expect(mx.verbs()).not.toMatch(/MAIL|RCPT|DATA/);
  });

  it("is judged by the partner's own authority instead of `trust`", async () => {
    const theirs = createAuthority("Their CA");
    const peer = offering(theirs.issue({ names: ["mx.acme.test"] }));
    const { trust } = policy(theirs);
    expect((await tried(peer, enforce, { trust })).verdict).toMatchObject({ matched: "mx.acme.test" });
  });
});

it.each<[string, MtaStsFacts]>([
  ["in testing [RFC 8461 §5]", sts("testing", "mx2.acme.test")],
  ["of mode none", sts("none")],
  ["that cannot be had [RFC 8461 §3.3]", { kind: "unavailable", result: "sts-policy-fetch-error", detail: "time-out" }],
])("a policy %s demands nothing", async (_, facts) => {
  await tried({ starttls: "absent" }, facts);
  expect(mx.messages).toMatchObject([{ secure: false, complete: true }]);
});

it("a policy that cannot be had makes mail wait with mta_sts: require", async () => {
  const facts: MtaStsFacts = { kind: "unavailable", result: "sts-webpki-invalid", detail: "self-signed" };
  expect((await tried(good, facts, { mtaSts: "require" })).problem).toMatchObject({ reason: "sts-webpki-invalid" });
  expect(mx.connections()).toBe(0);
});
