/** Rows on the name at which TLSA is looked up: aliases, wildcards, next hops. */
import { staleTlsa, tlsaOf } from "../rig/tlsa.ts";
import type { Plan } from "../rig/world.ts";
import { type Add, type Made, pem, publish } from "./case.ts";

/** CNAME on the way: of the host, of the records, of the domain (RFC 7672 §2.2.2, §2.2.3). */
export function aliases(sheet: Add, { odd, anchor, below }: Made, plan: Plan): void {
  const right = tlsaOf("3 1 1", odd.certificate);
  const alias = (domain: string, target: string) => {
    plan.record(domain, `MX 10 mx.${domain}.`);
    plan.record(`mx.${domain}`, `CNAME ${target}.`);
  };
  plan.host("expanded.hoster.test", { tls: pem(odd) });
  publish(plan, "expanded.hoster.test", [right]);
  alias("alias.dane.test", "expanded.hoster.test");
  publish(plan, "mx.alias.dane.test", [staleTlsa("3 1 1")]);
  sheet(
    "alias.dane.test",
    "TLSA at the expanded name comes first",
    { may: "dane-ee", "dane-only": "dane-ee" },
    {
      through: "expanded.hoster.test",
      sni: "expanded.hoster.test",
    },
  );
  plan.host("bare.hoster.test", { tls: pem(odd) });
  alias("alias-own.dane.test", "bare.hoster.test");
  publish(plan, "mx.alias-own.dane.test", [right]);
  sheet(
    "alias-own.dane.test",
    "none there, so TLSA at the name itself",
    { may: "dane-ee", "dane-only": "dane-ee" },
    {
      through: "bare.hoster.test",
      sni: "mx.alias-own.dane.test",
    },
  );
  plan.host("alias-target.plain.test", { tls: pem(odd) });
  publish(plan, "alias-target.plain.test", [right]);
  alias("alias-out.dane.test", "alias-target.plain.test");
  publish(plan, "mx.alias-out.dane.test", [staleTlsa("3 1 1")]);
  sheet("alias-out.dane.test", "an alias that leaves the signed zones: TLSA at its own, signed name counts", {
    may: "waits tlsa-invalid",
    "dane-only": "waits tlsa-invalid",
  });
  alias("alias-none.dane.test", "alias-target.plain.test");
  sheet(
    "alias-none.dane.test",
    "an alias that leaves the signed zones, without TLSA at its own name",
    {
      may: "encrypted",
      "dane-only": "waits dane-required",
    },
    { through: "alias-target.plain.test" },
  );
  plan.record("shared-tlsa.dane.test", "MX 10 mx.shared-tlsa.dane.test.");
  plan.host("mx.shared-tlsa.dane.test", { tls: below(["mx.shared-tlsa.dane.test"]) });
  plan.record("_25._tcp.mx.shared-tlsa.dane.test", "CNAME _dane.hoster.test.");
  plan.record("_dane.hoster.test", `TLSA ${tlsaOf("2 1 1", anchor.certificate)}`);
  sheet(
    "shared-tlsa.dane.test",
    "records that are an alias of others: the base domain stays [RFC 7672 §2.2.3]",
    {
      may: "dane-ta",
      "dane-only": "dane-ta",
    },
    { sni: "mx.shared-tlsa.dane.test" },
  );
  plan.record("tlsa-alias-out.dane.test", "MX 10 mx.tlsa-alias-out.dane.test.");
  plan.host("mx.tlsa-alias-out.dane.test", { tls: pem(odd) });
  plan.record("_25._tcp.mx.tlsa-alias-out.dane.test", "CNAME _dane.plain.test.");
  plan.record("_dane.plain.test", `TLSA ${staleTlsa("3 1 1")}`);
  sheet("tlsa-alias-out.dane.test", "records that are an alias of unsigned ones do not count", {
    may: "encrypted",
    "dane-only": "waits dane-required",
  });
  plan.record("moved.dane.test", "CNAME moved-to.hoster.test.");
  plan.record("moved-to.hoster.test", "MX 10 mx.moved-to.hoster.test.");
  plan.host("mx.moved-to.hoster.test", { tls: below(["moved-to.hoster.test"]) });
  publish(plan, "mx.moved-to.hoster.test", [tlsaOf("2 1 1", anchor.certificate)]);
  sheet(
    "moved.dane.test",
    "what the domain is an alias of is a reference name, too [RFC 7672 §3.2.2]",
    {
      may: "dane-ta",
      "dane-only": "dane-ta",
    },
    { through: "mx.moved-to.hoster.test" },
  );
  plan.host("implicit.dane.test", { tls: pem(odd) });
  publish(plan, "implicit.dane.test", [right]);
  sheet(
    "implicit.dane.test",
    "no MX: TLSA at the domain itself [RFC 7672 §2.2.1]",
    { may: "dane-ee", "dane-only": "dane-ee" },
    {
      through: "implicit.dane.test",
      sni: "implicit.dane.test",
    },
  );
  plan.host("implicit-stale.dane.test", { tls: pem(odd) });
  publish(plan, "implicit-stale.dane.test", [staleTlsa("3 1 1")]);
  sheet("implicit-stale.dane.test", "no MX, and the record does not match", {
    may: "waits tlsa-invalid",
    "dane-only": "waits tlsa-invalid",
  });
  plan.record("*.wild.dane.test", "MX 10 mx.wild.dane.test.");
  plan.host("mx.wild.dane.test", { tls: pem(odd) });
  plan.record("*._tcp.mx.wild.dane.test", `TLSA ${right}`);
  sheet(
    "any.wild.dane.test",
    "MX and TLSA by wildcards of the zone",
    { may: "dane-ee", "dane-only": "dane-ee" },
    { through: "mx.wild.dane.test" },
  );
  plan.record("six.dane.test", "MX 10 mx.six.dane.test.");
  plan.host("mx.six.dane.test", { tls: pem(odd), ipv6: true });
  publish(plan, "mx.six.dane.test", [right]);
  sheet("six.dane.test", "a host with an IPv6 address only", { "dane-only": "dane-ee" });
  // next_hop: DANE at that name and port, whatever the recipients' domain publishes.
  plan.host("inner.hoster.test", { tls: pem(odd), port: 2525 });
  publish(plan, "inner.hoster.test", [right], 2525);
  publish(plan, "inner.hoster.test", [staleTlsa("3 1 1")]);
  sheet(
    "hop.dane.test",
    "next_hop [host]:port: TLSA at that port",
    { may: "dane-ee", "dane-only": "dane-ee" },
    {
      nextHop: "[inner.hoster.test]:2525",
      through: "inner.hoster.test",
      sni: "inner.hoster.test",
    },
  );
  plan.host("inner-stale.hoster.test", { tls: pem(odd), port: 2525 });
  publish(plan, "inner-stale.hoster.test", [staleTlsa("3 1 1")], 2525);
  sheet(
    "hop-stale.dane.test",
    "next_hop [host]:port: a record that does not match",
    { may: "waits tlsa-invalid", "dane-only": "waits tlsa-invalid" },
    {
      nextHop: "[inner-stale.hoster.test]:2525",
    },
  );
  sheet(
    "hop-mx.plain.test",
    "next_hop that is a domain: its MX, though the recipients' domain is not signed",
    { may: "dane-ee", "dane-only": "dane-ee" },
    {
      nextHop: "ee.dane.test",
      through: "mx.ee.dane.test",
    },
  );
}
