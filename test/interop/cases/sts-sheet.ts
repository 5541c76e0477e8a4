/** The table behind the MTA-STS tests: what a domain announces and its policy host serves (RFC 8461). */
import { httpAnswer, type HttpsAnswer } from "../../peers/https-server.ts";
import type { MxTls } from "../../peers/mx-server.ts";
import type { Pem } from "../rig/inside.ts";
import { staleTlsa, tlsaOf } from "../rig/tlsa.ts";
import { type HostOptions, type Plan, REFUSING_SERVER, SILENT_SERVER } from "../rig/world.ts";
import { type Add, type Case, certificates, type Made, pem, publish } from "./case.ts";

export interface StsSheet {
  readonly cases: readonly Case[];
  /** PEM: what `trust` holds. */
  readonly trusted: string;
  readonly selfSigned: MxTls;
}

/** A policy as its host serves it. */
export function policy(mode: string, ...mx: readonly string[]): string {
  const lines = ["version: STSv1", `mode: ${mode}`, ...mx.map((pattern) => `mx: ${pattern}`), "max_age: 604800"];
  return lines.map((line) => `${line}\r\n`).join("");
}

interface Announcement {
  /** Of the record; `false`: nothing is announced. */
  readonly id?: string | false;
  /** Text of a policy, or a whole answer; absent: nobody listens. */
  readonly served?: string | HttpsAnswer;
  /** Of the policy host. Good without it. */
  readonly certificate?: Pem;
  readonly mx: HostOptions;
  readonly mxName?: string;
  readonly tlsa?: string;
}
type Announce = (domain: string, how: Announcement) => void;

export function stsSheet(plan: Plan): StsSheet {
  const cases: Case[] = [];
  const sheet: Add = (domain, about, endings, more = {}) => void cases.push({ domain, about, endings, ...more });
  const made = certificates();
  plan.zone("sts.test", { state: "unsigned" });
  plan.zone("dane.test");
  const announce: Announce = (domain, { id = "1", served, certificate, mx, mxName = `mx.${domain}`, tlsa }) => {
    plan.record(domain, `MX 10 ${mxName}.`);
    plan.host(mxName, mx);
    if (tlsa !== undefined) publish(plan, mxName, [tlsa]);
    if (id !== false) plan.record(`_mta-sts.${domain}`, `0 TXT "v=STSv1; id=${id};"`);
    const { chain, key } = made.valid(`mta-sts.${domain}`);
    const answer = typeof served === "string" ? httpAnswer(served) : served;
    plan.policyHost(`mta-sts.${domain}`, certificate ?? { chain, key }, answer);
  };
  enforced(sheet, announce, made, plan);
  unavailable(sheet, announce, made, plan);
  besideDane(sheet, announce, made);
  const mx = { tls: pem(made.valid("mx.kept.sts.test")) };
  announce("kept.sts.test", { served: policy("enforce", "mx.kept.sts.test"), mx });
  const other = { tls: pem(made.valid("mx.changing.sts.test")) };
  announce("changing.sts.test", { served: policy("enforce", "mx.changing.sts.test"), mx: other });
  sheet("kept.sts.test", "a policy that is fetched, and kept", { may: "private-ca" });
  sheet("changing.sts.test", "a policy that changes later", { may: "private-ca" });
  return { cases, trusted: made.web.certificate, selfSigned: pem(made.odd) };
}

/** RFC 8461 §4.1, §4.2, §5 */
function enforced(sheet: Add, announce: Announce, { valid, odd, web }: Made, plan: Plan): void {
  const good = (...names: string[]) => ({ tls: pem(valid(...names)) });
  announce("good.sts.test", { served: policy("enforce", "mx.good.sts.test"), mx: good("mx.good.sts.test") });
  sheet("good.sts.test", "enforce, and all as it should be", {
    may: "private-ca",
    encrypt: "private-ca",
    "require-sts": "private-ca",
    authenticated: "private-ca",
    verify: "private-ca",
    "dane-only": "waits dane-required",
    "ignore-sts": "trusted",
  });
  announce("wild.sts.test", { served: policy("enforce", "*.wild.sts.test"), mx: good("mx.wild.sts.test") });
  sheet("wild.sts.test", "an mx pattern stands for one label [RFC 8461 §4.1]", { may: "private-ca" });
  announce("deep.sts.test", {
    served: policy("enforce", "*.deep.sts.test"),
    mx: good("a.b.deep.sts.test"),
    mxName: "a.b.deep.sts.test",
  });
  sheet("deep.sts.test", "and not for two [RFC 8461 §4.1]", { may: "waits mx-not-in-policy" });
  announce("other.sts.test", {
    served: policy("enforce", "mx.elsewhere.test"),
    mx: good("mx.other.sts.test", "other.sts.test"),
  });
  sheet("other.sts.test", "the host is not one the policy names [RFC 8461 §5]", {
    may: "waits mx-not-in-policy",
    encrypt: "waits mx-not-in-policy",
    authenticated: "waits mx-not-in-policy",
    verify: "waits mx-not-in-policy",
    "require-sts": "waits mx-not-in-policy",
    secure: "private-ca",
    "ignore-sts": "trusted",
  });
  announce("second.sts.test", { served: policy("enforce", "mx2.second.sts.test"), mx: good("mx.second.sts.test") });
  plan.record("second.sts.test", "MX 20 mx2.second.sts.test.");
  plan.host("mx2.second.sts.test", good("mx2.second.sts.test"));
  sheet(
    "second.sts.test",
    "only the second host is one the policy names",
    { may: "private-ca" },
    { through: "mx2.second.sts.test" },
  );
  announce("self.sts.test", { served: policy("enforce", "mx.self.sts.test"), mx: { tls: pem(odd) } });
  sheet("self.sts.test", "a self-signed certificate [RFC 8461 §4.2]", {
    may: "waits certificate-not-trusted",
    authenticated: "waits certificate-not-trusted",
    "ignore-sts": "encrypted",
  });
  announce("name.sts.test", { served: policy("enforce", "mx.name.sts.test"), mx: good("name.sts.test") });
  sheet("name.sts.test", "a certificate for the domain, not for the host [RFC 8461 §4.1]", {
    may: "waits certificate-host-mismatch",
    secure: "private-ca",
  });
  const past = { notBefore: new Date("2026-01-01"), notAfter: new Date("2026-02-01") };
  announce("late.sts.test", {
    served: policy("enforce", "mx.late.sts.test"),
    mx: { tls: pem(web.issue({ names: ["mx.late.sts.test"], ...past })) },
  });
  sheet("late.sts.test", "a certificate of the past", { may: "waits certificate-expired" });
  announce("clear.sts.test", { served: policy("enforce", "mx.clear.sts.test"), mx: {} });
  sheet("clear.sts.test", "STARTTLS withheld", { may: "waits starttls-not-supported", "ignore-sts": "clear" });
  announce("refuses.sts.test", {
    served: policy("enforce", "mx.refuses.sts.test"),
    mx: { ...good("mx.refuses.sts.test"), starttls: "refused" },
  });
  sheet("refuses.sts.test", "STARTTLS is answered with 454", { may: "waits starttls-not-supported" });
  announce("testing.sts.test", { served: policy("testing", "mx.elsewhere.test"), mx: { tls: pem(odd) } });
  sheet("testing.sts.test", "testing asks for nothing [RFC 8461 §5]", {
    may: "encrypted",
    "require-sts": "encrypted",
    authenticated: "waits certificate-not-trusted",
  });
  announce("testing-clear.sts.test", { served: policy("testing", "mx.testing-clear.sts.test"), mx: {} });
  sheet("testing-clear.sts.test", "not even for TLS", { may: "clear", encrypt: "waits starttls-not-supported" });
  announce("none.sts.test", { served: policy("none"), mx: { tls: pem(odd) } });
  sheet("none.sts.test", "mode none asks for nothing", { may: "encrypted", "require-sts": "encrypted" });
  announce("silent-host.sts.test", {
    id: false,
    served: policy("enforce", "mx.elsewhere.test"),
    mx: { tls: pem(odd) },
  });
  sheet("silent-host.sts.test", "a policy that is served and not announced [RFC 8461 §3.1]", { may: "encrypted" });
  plan.record("below.good.sts.test", "MX 10 mx.below.good.sts.test.");
  plan.host("mx.below.good.sts.test", { tls: pem(odd) });
  sheet("below.good.sts.test", "the policy of the domain above is not its own [RFC 8461 §3.4]", { may: "encrypted" });
  announce("sharing.sts.test", {
    served: policy("enforce", "mx.shared.sts.test"),
    mx: { tls: pem(odd) },
    mxName: "mx.shared.sts.test",
  });
  sheet("sharing.sts.test", "one of two domains that share a host", { may: "waits certificate-not-trusted" });
  plan.record("shared-too.sts.test", "MX 10 mx.shared.sts.test.");
  sheet(
    "shared-too.sts.test",
    "and the other, which announces nothing",
    { may: "encrypted" },
    { through: "mx.shared.sts.test" },
  );
  sheet(
    "hop-from.sts.test",
    "with next_hop its domain is the policy domain [RFC 8461 §3.4]",
    { may: "waits mx-not-in-policy", "require-sts": "waits mx-not-in-policy" },
    {
      nextHop: "other.sts.test",
    },
  );
  announce("hop-to.sts.test", { served: policy("enforce", "mx.elsewhere.test"), mx: { tls: pem(odd) } });
  sheet(
    "hop-to.sts.test",
    "and that of the recipients is not",
    { may: "encrypted" },
    { nextHop: "shared-too.sts.test", through: "mx.shared.sts.test" },
  );
  const served = { ...good("mx.odd-text.sts.test") };
  announce("odd-text.sts.test", {
    served: "version: STSv1\nmode: enforce\nx_new: 1\nmx: *.odd-text.sts.test\nmx: mx.elsewhere.test\nmax_age: 86400",
    mx: served,
  });
  sheet("odd-text.sts.test", "LF, fields of the future, no end of the last line [RFC 8461 §3.2]", {
    may: "private-ca",
  });
}

/** Announced, and not to be had: counts as none (RFC 8461 §3.3), unless it is required here. */
function unavailable(sheet: Add, announce: Announce, { web, valid, odd }: Made, plan: Plan): void {
  const bad = (label: string, about: string, reason: string, how: Omit<Announcement, "mx">) => {
    const domain = `${label}.sts.test`;
    announce(domain, { ...how, mx: { tls: pem(odd) } });
    sheet(domain, about, { may: "encrypted", "require-sts": `waits ${reason}` });
  };
  const enforce = policy("enforce", "mx.elsewhere.test");
  const past = { notBefore: new Date("2026-01-01"), notAfter: new Date("2026-02-01") };
  bad("host-late", "the policy host's certificate is of the past", "sts-webpki-invalid", {
    served: enforce,
    certificate: web.issue({ names: ["mta-sts.host-late.sts.test"], ...past }),
  });
  bad("host-self", "it is self-signed", "sts-webpki-invalid", { served: enforce, certificate: odd });
  bad("host-name", "it is for another name", "sts-webpki-invalid", {
    served: enforce,
    certificate: valid("host-name.sts.test"),
  });
  bad("redirects", "the policy host redirects [RFC 8461 §3.3]", "sts-policy-fetch-error", {
    served: httpAnswer("", {
      status: "301 Moved Permanently",
      headers: { Location: "https://mta-sts.good.sts.test/.well-known/mta-sts.txt" },
    }),
  });
  bad("missing", "it answers 404", "sts-policy-fetch-error", { served: httpAnswer("", { status: "404 Not Found" }) });
  bad("typed", "it serves text/html", "sts-policy-fetch-error", {
    served: httpAnswer(enforce, { headers: { "Content-Type": "text/html" } }),
  });
  bad("long", "it serves more than 64 KiB", "sts-policy-fetch-error", {
    served: `${enforce}${"x: y\r\n".repeat(12_000)}`,
  });
  bad("modeless", "the policy has no mode", "sts-policy-invalid", {
    served: "version: STSv1\r\nmx: mx.elsewhere.test\r\nmax_age: 86400\r\n",
  });
  bad("misspelt", "the policy has an unknown mode", "sts-policy-invalid", {
    served: policy("enforced", "mx.elsewhere.test"),
  });
  bad("down", "nobody listens", "sts-policy-fetch-error", {});
  announce("twice.sts.test", { served: enforce, mx: { tls: pem(odd) } });
  plan.record("_mta-sts.twice.sts.test", '0 TXT "v=STSv1; id=2;"');
  sheet("twice.sts.test", "two records announce nothing [RFC 8461 §3.1]", {
    may: "encrypted",
    "require-sts": "encrypted",
  });
  for (const [label, server] of [
    ["txt-refused", REFUSING_SERVER],
    ["txt-silent", SILENT_SERVER],
  ] as const) {
    const domain = `${label}.sts.test`;
    announce(domain, { id: false, served: enforce, mx: { tls: pem(valid(`mx.${domain}`, domain)) } });
    plan.zone(`_mta-sts.${domain}`, { server });
    sheet(domain, "whether something is announced is not known: wait", {
      may: "waits dns-failed",
      "require-sts": "waits dns-failed",
      secure: "private-ca",
      "ignore-sts": "trusted",
    });
  }
}

/** DANE counts where both are published (RFC 8461 §2). */
function besideDane(sheet: Add, announce: Announce, { odd, valid }: Made): void {
  const right = tlsaOf("3 1 1", odd.certificate);
  announce("both.dane.test", { served: policy("enforce", "mx.elsewhere.test"), mx: { tls: pem(odd) }, tlsa: right });
  sheet("both.dane.test", "DANE matches where the policy would not", {
    may: "dane-ee",
    authenticated: "dane-ee",
    "require-sts": "dane-ee",
  });
  const web = { tls: pem(valid("mx.stale.dane.test")) };
  announce("stale.dane.test", { served: policy("enforce", "mx.stale.dane.test"), mx: web, tlsa: staleTlsa("3 1 1") });
  sheet("stale.dane.test", "DANE does not match where the policy would", {
    may: "waits tlsa-invalid",
    authenticated: "waits tlsa-invalid",
  });
  announce("useless.dane.test", {
    served: policy("enforce", "mx.useless.dane.test"),
    mx: { tls: pem(odd) },
    tlsa: tlsaOf("1 1 1", odd.certificate),
  });
  sheet("useless.dane.test", "records that cannot be used leave the policy its say", {
    may: "waits certificate-not-trusted",
  });
  announce("signed.dane.test", {
    served: policy("enforce", "mx.signed.dane.test"),
    mx: { tls: pem(valid("mx.signed.dane.test")) },
  });
  sheet("signed.dane.test", "a signed domain without TLSA", { may: "private-ca", "dane-only": "waits dane-required" });
}
