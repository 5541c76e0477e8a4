/** Rows on what DNS proves, denies, or fails to tell (RFC 7672 §2.1, §2.2). */
import { staleTlsa, tlsaOf } from "../rig/tlsa.ts";
import { type Plan, REFUSING_SERVER, SILENT_SERVER } from "../rig/world.ts";
import { type Add, type Made, NO_TLSA_ASKED, type Own, pem, publish } from "./case.ts";

const INSECURE_MX =
  "a host named by an unsigned MX has no DANE; Postfix's asks all the same (RFC 7672 §2.2.1, postconf(5), smtp_tls_dane_insecure_mx_policy)";

/** Nothing published, proven or not signed at all. */
export function denials(sheet: Add, own: Own, { odd, valid }: Made, plan: Plan): void {
  own("none.dane.test", { tls: pem(valid("mx.none.dane.test", "none.dane.test")) });
  sheet("none.dane.test", "no TLSA, proven by denial of existence", {
    may: "trusted",
    encrypt: "trusted",
    "dane-only": "waits dane-required",
    authenticated: "private-ca",
    verify: "private-ca",
    secure: "private-ca",
  });
  own("nodata.dane.test", { tls: pem(odd) });
  plan.record("_25._tcp.mx.nodata.dane.test", 'TXT "something else"');
  sheet("nodata.dane.test", "a name without TLSA, proven", {
    may: "encrypted",
    "dane-only": "waits dane-required",
    authenticated: "waits certificate-not-trusted",
  });
  own("clear.dane.test", {});
  sheet("clear.dane.test", "no TLSA and no STARTTLS", {
    may: "clear",
    encrypt: "waits starttls-not-supported",
    "dane-only": "waits dane-required",
    authenticated: "waits starttls-not-supported",
  });
  own("withheld.dane.test", {}, tlsaOf("3 1 1", odd.certificate));
  sheet("withheld.dane.test", "STARTTLS withheld where TLSA is published [RFC 7672 §2.2]", {
    may: "waits starttls-not-supported",
    "dane-only": "waits starttls-not-supported",
    ignore: "clear",
  });
  own("plain.test", { tls: pem(valid("mx.plain.test")) }, staleTlsa("3 1 1"));
  sheet("plain.test", "TLSA in a zone that is not signed does not count [RFC 7672 §2.2]", {
    may: "trusted",
    encrypt: "trusted",
    "dane-only": "waits dane-required",
    authenticated: "private-ca",
    verify: "private-ca",
    secure: "private-ca",
  });
  plan.record("to-hoster.plain.test", "MX 10 mx.hoster.test.");
  plan.host("mx.hoster.test", { tls: pem(odd) });
  publish(plan, "mx.hoster.test", [tlsaOf("3 1 1", odd.certificate)]);
  sheet(
    "to-hoster.plain.test",
    "an MX that is not signed names a host that is",
    { may: "encrypted", "dane-only": "waits dane-required" },
    { through: "mx.hoster.test" },
  );
  plan.record("to-stale.plain.test", "MX 10 stale.hoster.test.");
  plan.host("stale.hoster.test", { tls: pem(odd) });
  publish(plan, "stale.hoster.test", [staleTlsa("3 1 1")]);
  sheet(
    "to-stale.plain.test",
    "the same, and the host's record does not match: whoever can forge MX would name another host",
    { may: "encrypted", "dane-only": "waits dane-required" },
    { through: "stale.hoster.test", differs: { may: INSECURE_MX } },
  );
  plan.host("valid.hoster.test", { tls: pem(valid("valid.hoster.test")) });
  plan.record("to-valid.plain.test", "MX 10 valid.hoster.test.");
  sheet(
    "to-valid.plain.test",
    "a host name out of an unsigned MX is nothing to authenticate",
    {
      may: "trusted",
      authenticated: "waits certificate-host-mismatch",
      verify: "private-ca",
      secure: "waits certificate-host-mismatch",
    },
    { through: "valid.hoster.test" },
  );
  plan.record("to-valid.dane.test", "MX 10 valid.hoster.test.");
  sheet(
    "to-valid.dane.test",
    "a host name out of a signed MX is, at authenticated",
    { authenticated: "private-ca", verify: "private-ca", secure: "waits certificate-host-mismatch" },
    { through: "valid.hoster.test" },
  );
  plan.record("to-hoster.dane.test", "MX 10 mx.hoster.test.");
  sheet(
    "to-hoster.dane.test",
    "a signed MX names the host of another signed zone",
    { may: "dane-ee", "dane-only": "dane-ee" },
    {
      through: "mx.hoster.test",
    },
  );
  plan.record("to-plain.dane.test", "MX 10 mx.plain.test.");
  sheet(
    "to-plain.dane.test",
    "a signed MX names a host in a zone that is not [RFC 7672 §2.2.2]",
    {
      may: "trusted",
      "dane-only": "waits dane-required",
      authenticated: "private-ca",
    },
    { through: "mx.plain.test" },
  );
  for (const [name, algorithm, nsec3] of [
    ["rsa-zone", "RSASHA256", false],
    ["ed-zone", "ED25519", true],
    ["p384-zone", "ECDSAP384SHA384", true],
  ] as const) {
    plan.zone(`${name}.test`, { algorithm, nsec3 });
    own(`${name}.test`, { tls: pem(odd) }, tlsaOf("3 1 1", odd.certificate));
    sheet(`${name}.test`, `a zone signed with ${algorithm}`, { "dane-only": "dane-ee" });
    own(`bare.${name}.test`, { tls: pem(odd) });
    sheet(`bare.${name}.test`, `denial in a zone signed with ${algorithm}`, { may: "encrypted" });
  }
  plan.record("null.dane.test", "MX 0 .");
  sheet("null.dane.test", "null MX", { may: "fails null-mx", "dane-only": "fails null-mx" });
  sheet("absent.dane.test", "no such domain, proven", {
    may: "fails no-such-domain",
    "dane-only": "fails no-such-domain",
  });
}

/** Look-ups that fail make mail wait, and never go out below the level (RFC 7672 §2.1.2, §2.1.3). */
export function failures(sheet: Add, own: Own, { odd, valid }: Made, plan: Plan): void {
  const right = tlsaOf("3 1 1", odd.certificate);
  const all = (reason: string) =>
    ({ may: `waits ${reason}`, encrypt: `waits ${reason}`, "dane-only": `waits ${reason}` }) as const;
  own("bogus-mx.dane.test", { tls: pem(odd) }, right);
  sheet("bogus-mx.dane.test", "the signature of the MX set is damaged", {
    ...all("dns-failed"),
    secure: "waits dns-failed",
    ignore: "waits dns-failed",
  });
  own("bogus-a.dane.test", { tls: pem(odd) }, right);
  sheet("bogus-a.dane.test", "the signature of the address is damaged", {
    ...all("dns-failed"),
    ignore: "waits dns-failed",
  });
  own("bogus-tlsa.dane.test", { tls: pem(valid("mx.bogus-tlsa.dane.test", "bogus-tlsa.dane.test")) }, right);
  sheet(
    "bogus-tlsa.dane.test",
    "the signature of the TLSA set is damaged",
    {
      ...all("dnssec-invalid"),
      authenticated: "waits dnssec-invalid",
      verify: "waits dnssec-invalid",
      secure: "private-ca",
      ignore: "trusted",
    },
    { differs: { encrypt: NO_TLSA_ASKED, verify: NO_TLSA_ASKED } },
  );
  own("stripped.dane.test", { tls: pem(odd) }, right);
  sheet("stripped.dane.test", "the TLSA set is missing without proof", all("dnssec-invalid"), {
    differs: { encrypt: NO_TLSA_ASKED },
  });
  plan.zone("expired.test", { state: "expired" });
  own("expired.test", { tls: pem(odd) }, right);
  sheet("expired.test", "signatures that ended long ago", all("dns-failed"));
  plan.zone("wrong-ds.test", { state: "wrong-ds" });
  own("wrong-ds.test", { tls: pem(odd) }, right);
  sheet("wrong-ds.test", "a parent that vouches for another key", all("dns-failed"));
  plan.zone("refused.test", { server: REFUSING_SERVER });
  sheet("refused.test", "a name server that refuses", { may: "waits dns-failed", "dane-only": "waits dns-failed" });
  plan.zone("silent.test", { server: SILENT_SERVER });
  sheet("silent.test", "a name server that is silent", { may: "waits dns-failed", "dane-only": "waits dns-failed" });
  own("tlsa-refused.dane.test", { tls: pem(odd) });
  plan.zone("_tcp.mx.tlsa-refused.dane.test", { server: REFUSING_SERVER });
  sheet(
    "tlsa-refused.dane.test",
    "a name server that refuses TLSA [RFC 7672 §2.1.2]",
    { ...all("dnssec-invalid"), ignore: "encrypted" },
    {
      differs: { encrypt: NO_TLSA_ASKED },
    },
  );
  own("tlsa-silent.dane.test", { tls: pem(odd) });
  plan.zone("_tcp.mx.tlsa-silent.dane.test", { server: SILENT_SERVER });
  sheet("tlsa-silent.dane.test", "a name server that is silent on TLSA", {
    may: "waits dnssec-invalid",
    "dane-only": "waits dnssec-invalid",
  });
  own("tlsa-plain.dane.test", { tls: pem(odd) });
  plan.zone("_tcp.mx.tlsa-plain.dane.test", { state: "unsigned" });
  publish(plan, "mx.tlsa-plain.dane.test", [staleTlsa("3 1 1")]);
  sheet("tlsa-plain.dane.test", "an insecure delegation below the host [RFC 7672 §2.1.1]", {
    may: "encrypted",
    "dane-only": "waits dane-required",
  });
}
