import { describe, expect, it } from "vitest";
import { createCertificateWatch, type Dated } from "../../../src/certificate-watch.ts";
import { datedCertificates } from "../../../src/dated-certificates.ts";
import type { AcceptSettings } from "../../../src/accept/settings.ts";
import type { Policy } from "../../../src/decide/policy.ts";
import type { Events } from "../../../src/report/events.ts";
import { createAuthority, selfSigned } from "../../peers/certificates.ts";
import { outbound, partner, policy, tls } from "../decide/policies.ts";

const DAY = 86_400_000;
const END = 100 * DAY;
const acme: Dated = { what: "The CA certificate of partner acme", partner: "acme", endsAt: END, file: "ca.pem" };

function rig(first: readonly Dated[], at: number) {
  let now = at;
  let current = first;
  let timer: { at: number; run: () => void } | undefined;
  const alarms: (Events["alarm"] & { readonly at: number })[] = [];
  const watch = createCertificateWatch({
    clock: {
      now: () => now,
      after: (ms, run) => {
        timer = { at: now + ms, run };
        return () => (timer = undefined);
      },
    },
    emit: (_, fields) => void alarms.push({ ...(fields as Events["alarm"]), at: now }),
    dated: () => current,
    days: () => [30, 14, 7, 1],
  });
  const advance = (to: number) => {
    while (timer !== undefined && timer.at <= to) {
      now = timer.at;
      timer.run();
    }
    now = to;
  };
  const told = () => alarms.map(({ at, code, state }) => [(END - at) / DAY, code, state]);
  return { watch, alarms, told, advance, pending: () => timer !== undefined, use: (next: Dated[]) => (current = next) };
}

describe("a certificate that ends", () => {
  it("is an alarm 30, 14, 7 and 1 days before, once each, and another one when it has ended", () => {
    const { watch, told, advance } = rig([acme], END - 40 * DAY);
    watch.look();
    advance(END + 20 * DAY);
    expect(told()).toEqual([
      [30, "certificate-expiring", "raised"],
      [14, "certificate-expiring", "raised"],
      [7, "certificate-expiring", "raised"],
      [1, "certificate-expiring", "raised"],
      [0, "certificate-expiring", "cleared"],
      [0, "certificate-expired", "raised"],
    ]);
  });

  it("is told with its file, its date and what to do", () => {
    const { watch, alarms } = rig([{ ...acme, remedy: "name the next one" }], END - 7 * DAY);
    watch.look();
    expect(alarms).toMatchObject([
      {
        partner: "acme",
        until: "1970-04-11T00:00:00.000Z",
        remedy: "The CA certificate of partner acme (ca.pem) ends on 1970-04-11, in 7 days: name the next one",
      },
    ]);
  });

  it.each([
    ["29 days", 29, ["certificate-expiring"]],
    ["12 hours", 0.5, ["certificate-expiring"]],
    ["a day after its end", -1, ["certificate-expired"]],
    ["31 days", 31, []],
  ])("found %s before its end is told once at start, by the step it has reached", (_, days, codes) => {
    const { watch, alarms } = rig([acme], END - days * DAY);
    watch.look();
    watch.look();
    expect(alarms.map(({ code }) => code)).toEqual(codes);
  });

  it("is told once where it is named twice", () => {
    const { watch, alarms } = rig([acme, { ...acme }], END - DAY);
    watch.look();
    expect(alarms.length).toBe(1);
  });

  it("is no alarm any more when a reload replaces it", () => {
    const { watch, alarms, use, advance } = rig([acme], END - 10 * DAY);
    watch.look();
    use([{ ...acme, endsAt: END + 400 * DAY }]);
    watch.look();
    expect(alarms.map(({ state, since }) => [state, since])).toEqual([
      ["raised", "1970-04-01T00:00:00.000Z"],
      ["cleared", "1970-04-01T00:00:00.000Z"],
    ]);
    advance(END + DAY);
    expect(alarms.length).toBe(2);
  });

  it("is looked for by itself at least daily, and no longer after a stop", () => {
    const { watch, alarms, use, advance, pending } = rig([], END - DAY);
    watch.look();
    use([acme]);
    advance(END);
    expect(alarms.length).toBeGreaterThan(0);
    watch.stop();
    expect(pending()).toBe(false);
  });
});

describe("what ends by itself", () => {
  const own = selfSigned({ names: ["relay.own.test"], notAfter: new Date("2027-03-01T00:00:00Z") });
  const accept = { listeners: [{ certificates: [{ certificate: own.certificate }] }] } as unknown as AcceptSettings;
  const list = (over: Partial<Policy>, smime?: Parameters<typeof datedCertificates>[0]["smime"]) =>
    datedCertificates({ accept: { ...accept }, policy: policy(over), ...(smime && { smime }) });
  const at = (file: string) => ({ file, line: 3, column: 5 });
  const dkim = { domain: "own.test", selector: "a", algorithm: "rsa-sha256", key: "", endsAt: 50 } as const;
  const domain = { domain: "own.test", outbound: outbound(), dkim: [], smime: [] };

  it("is our TLS certificate, named by its subject", () => {
    expect(list({})).toEqual([
      { what: "Our TLS certificate, CN=relay.own.test,", partner: null, endsAt: Date.UTC(2027, 2, 1) },
    ]);
  });

  it("is of a chain the one that ends first", () => {
    const authority = createAuthority("Root").intermediate("Below", { notAfter: new Date("2027-01-01T00:00:00Z") });
    const { chain } = authority.issue({ names: ["relay.own.test"], notAfter: new Date("2028-01-01T00:00:00Z") });
    const listeners = [{ certificates: [{ certificate: chain }] }];
    const [first] = datedCertificates({ accept: { listeners } as unknown as AcceptSettings, policy: policy() });
    expect(first?.what).toBe("Our TLS certificate, CN=Below,");
  });

  it("is a partner's CA, a pin with an end, our client certificate: where they are written, not where inherited", () => {
    const ca = createAuthority("Acme CA", { notAfter: new Date("2027-06-01T00:00:00Z") });
    const written = tls({
      trust: { id: "x", ca: [ca.certificate], crl: [] },
      clientCertificate: own,
      fingerprints: [
        { sha256: "ab".repeat(32), of: "certificate", notAfter: 77 },
        { sha256: "cd".repeat(32), of: "certificate" },
      ],
    });
    const client = { "tls.client_certificate": at("sealpost.yaml") };
    const found = list({
      default: outbound({ tls: tls({ clientCertificate: own }), origins: client }),
      partners: [
        partner("acme", {
          outbound: outbound({
            partner: "acme",
            tls: written,
            origins: { ...client, "tls.ca": at("acme.yaml"), "tls.fingerprints": at("acme.yaml") },
          }),
        }),
      ],
    });
    expect(found.slice(1).map(({ what, partner, endsAt, file }) => [what, partner, endsAt, file])).toEqual([
      ["Our client certificate, CN=relay.own.test,", null, Date.UTC(2027, 2, 1), "sealpost.yaml"],
      ["The CA certificate of partner acme, CN=Acme CA,", "acme", Date.UTC(2027, 5, 1), "acme.yaml"],
      ["The pin abababababababab… of partner acme", "acme", 77, "acme.yaml"],
    ]);
  });

  it("is an S/MIME signer and a recipient's certificate", () => {
    const pem = own.certificate;
    const found = list(
      { ownDomains: [{ ...domain, smime: [{ certificate: pem, chain: [], key: "", address: "anna@own.test" }] }] },
      {
        trust: "system",
        recipients: [{ certificate: pem, addresses: ["bob@acme.test"], domains: [], file: "bob.pem" }],
        harvested: [],
        ldap: null,
        revocation: { check: true, unreachable: "accept", allowPrivate: false },
      },
    );
    expect(found.slice(1).map(({ what, file }) => [what, file])).toEqual([
      ["The S/MIME certificate that signs for anna@own.test, CN=relay.own.test,", undefined],
      ["The S/MIME certificate for recipients, CN=relay.own.test,", "bob.pem"],
    ]);
  });

  it.each([
    ["alone", [], true],
    ["with a next one of another kind", [{ ...dkim, selector: "b", algorithm: "ed25519-sha256", endsAt: 99 }], true],
    ["with a next one that signs later only", [{ ...dkim, selector: "b", notBefore: 51, endsAt: 99 }], true],
    ["with a next one that takes over", [{ ...dkim, selector: "b", notBefore: 40, endsAt: 99 }], false],
  ] as const)("is a DKIM key %s: %s → %s", (_, others, told) => {
    const found = list({ ownDomains: [{ ...domain, dkim: [dkim, ...others] }] });
    expect(found.some(({ what }) => what === "The DKIM key a of own.test")).toBe(told);
  });
});
