/** Rows on TLSA records: what matches what, and what cannot be used (RFC 7672 §3.1, RFC 7671). */
import { generateKeyPairSync } from "node:crypto";
import { rawTlsa, staleTlsa, tlsaOf } from "../rig/tlsa.ts";
import { ADDED, type Add, type Made, type Own, pem } from "./case.ts";

/** Which records match what (RFC 7672 §3.1, RFC 7671 §5). */
export function usages(sheet: Add, own: Own, { web, anchor, between, valid, odd, renewed, below }: Made): void {
  own("ee.dane.test", { tls: pem(odd) }, tlsaOf("3 1 1", odd.certificate));
  sheet("ee.dane.test", "3 1 1 is met by an expired, self-signed certificate for another name [RFC 7672 §3.1.1]", {
    may: "dane-ee",
    encrypt: "dane-ee",
    "dane-only": "dane-ee",
    authenticated: "dane-ee",
    verify: "waits certificate-not-trusted",
    secure: "waits certificate-not-trusted",
    ignore: "encrypted",
  });
  for (const parameters of ["3 0 1", "3 1 2", "3 0 2", "3 0 0", "3 1 0"]) {
    const domain = `ee-${parameters.replaceAll(" ", "")}.dane.test`;
    own(domain, { tls: pem(odd) }, tlsaOf(parameters, odd.certificate));
    sheet(domain, `${parameters} is met`, { "dane-only": "dane-ee" });
  }
  const { privateKey } = generateKeyPairSync("ed25519");
  const ed25519 = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  for (const keyType of ["rsa", "ec", "ed25519"] as const) {
    const key = keyType === "ed25519" ? { key: ed25519 } : { keyType };
    const leaf = web.issue({ names: [`mx.${keyType}.dane.test`], ...key });
    own(`${keyType}.dane.test`, { tls: pem(leaf) }, tlsaOf("3 1 1", leaf.certificate));
    sheet(`${keyType}.dane.test`, `3 1 1 for a key of type ${keyType}`, {
      "dane-only": "dane-ee",
      verify: "private-ca",
    });
  }
  own("mismatch.dane.test", { tls: pem(valid("mx.mismatch.dane.test", "mismatch.dane.test")) }, staleTlsa("3 1 1"));
  sheet(
    "mismatch.dane.test",
    "no authority mends a record that does not match [RFC 7672 §2.2]",
    {
      may: "waits tlsa-invalid",
      encrypt: "waits tlsa-invalid",
      "dane-only": "waits tlsa-invalid",
      authenticated: "waits tlsa-invalid",
      verify: "waits tlsa-invalid",
      secure: "private-ca",
      ignore: "trusted",
    },
    { differs: { encrypt: ADDED, verify: ADDED } },
  );
  const atAnchor = { may: "dane-ta", "dane-only": "dane-ta", authenticated: "dane-ta" } as const;
  own(
    "ta-key.dane.test",
    { tls: below(["mx.ta-key.dane.test"], { root: false }) },
    tlsaOf("2 1 1", between.certificate),
  );
  sheet("ta-key.dane.test", "2 1 1 for an intermediate's key", {
    ...atAnchor,
    secure: "waits certificate-not-trusted",
  });
  own("ta-root.dane.test", { tls: below(["mx.ta-root.dane.test"]) }, tlsaOf("2 0 1", anchor.certificate));
  sheet("ta-root.dane.test", "2 0 1 for the root, which is sent", atAnchor);
  own(
    "ta-unsent.dane.test",
    { tls: below(["mx.ta-unsent.dane.test"], { root: false }) },
    tlsaOf("2 0 1", anchor.certificate),
  );
  sheet("ta-unsent.dane.test", "2 0 1 cannot be met by a root that is not sent [RFC 7671 §5.2.2]", {
    may: "waits tlsa-invalid",
    "dane-only": "waits tlsa-invalid",
  });
  own(
    "ta-whole.dane.test",
    { tls: below(["mx.ta-whole.dane.test"], { root: false }) },
    tlsaOf("2 0 0", anchor.certificate),
  );
  sheet("ta-whole.dane.test", "2 0 0 holds the anchor itself, which is not sent [RFC 7671 §5.2.3]", atAnchor);
  own(
    "ta-bare.dane.test",
    { tls: below(["mx.ta-bare.dane.test"], { root: false }) },
    tlsaOf("2 1 0", anchor.certificate),
  );
  sheet("ta-bare.dane.test", "2 1 0 holds the anchor's key, and nothing of it is sent [RFC 7671 §5.2.3]", atAnchor);
  own("ta-name.dane.test", { tls: below(["mx.other.test"]) }, tlsaOf("2 1 1", anchor.certificate));
  sheet("ta-name.dane.test", "usage 2 checks the name [RFC 7672 §3.1.2]", {
    may: "waits certificate-host-mismatch",
    "dane-only": "waits certificate-host-mismatch",
  });
  own(
    "ta-late.dane.test",
    { tls: below(["mx.ta-late.dane.test"], { expired: true }) },
    tlsaOf("2 1 1", anchor.certificate),
  );
  sheet("ta-late.dane.test", "usage 2 checks dates [RFC 7671 §5.2]", {
    may: "waits certificate-expired",
    "dane-only": "waits certificate-expired",
  });
  own("ta-domain.dane.test", { tls: below(["ta-domain.dane.test"]) }, tlsaOf("2 1 1", anchor.certificate));
  sheet("ta-domain.dane.test", "the next-hop domain is a reference name [RFC 7672 §3.2.2]", atAnchor);
  own("ta-wild.dane.test", { tls: below(["*.ta-wild.dane.test"]) }, tlsaOf("2 1 1", anchor.certificate));
  sheet("ta-wild.dane.test", "a wildcard certificate stands for one label", atAnchor);
  own("ta-deep.dane.test", { tls: below(["*.dane.test"]) }, tlsaOf("2 1 1", anchor.certificate));
  sheet(
    "ta-deep.dane.test",
    "a wildcard stands for one label: here it names the next-hop domain, not the host",
    atAnchor,
  );
  own("ta-wide.dane.test", { tls: below(["*.test"]) }, tlsaOf("2 1 1", anchor.certificate));
  sheet("ta-wide.dane.test", "a wildcard does not stand for two labels", {
    "dane-only": "waits certificate-host-mismatch",
  });
  own("web-ta.dane.test", { tls: pem(valid("mx.web-ta.dane.test")) }, tlsaOf("2 1 0", web.certificate));
  sheet("web-ta.dane.test", "an anchor out of DNS that is trusted anyway", { may: "dane-ta", verify: "private-ca" });
  // Roll-over: the host shows the new key later.
  own("rolling.dane.test", { tls: pem(odd) }, tlsaOf("3 1 1", odd.certificate), tlsaOf("3 1 1", renewed.certificate));
  sheet("rolling.dane.test", "any one of several records suffices [RFC 7671 §8.1]", {
    may: "dane-ee",
    "dane-only": "dane-ee",
  });
  own(
    "ee-or-ta.dane.test",
    { tls: below(["mx.ee-or-ta.dane.test"]) },
    staleTlsa("3 1 1"),
    tlsaOf("2 1 1", anchor.certificate),
  );
  sheet("ee-or-ta.dane.test", "a stale 3 1 1 beside a 2 1 1 that matches", { may: "dane-ta", "dane-only": "dane-ta" });
  own("agile.dane.test", { tls: pem(odd) }, staleTlsa("3 1 1"), tlsaOf("3 1 2", odd.certificate));
  sheet("agile.dane.test", "the stronger digest matches [RFC 7671 §9]", { "dane-only": "dane-ee" });
  own("agile-stale.dane.test", { tls: pem(odd) }, tlsaOf("3 1 1", odd.certificate), staleTlsa("3 1 2"));
  sheet("agile-stale.dane.test", "the weaker digest does not count beside a stronger one [RFC 7671 §9]", {
    "dane-only": "waits tlsa-invalid",
    may: "waits tlsa-invalid",
  });
}

/** Records that cannot be used: TLS is demanded, unauthenticated (RFC 7672 §2.2, §3.1.3). */
export function unusable(sheet: Add, own: Own, { odd, valid, web }: Made): void {
  const good = tlsaOf("3 1 1", odd.certificate);
  const octets = Buffer.from(good.split(" ")[3] ?? "", "hex");
  const rows = [
    ["pkix-ta", tlsaOf("0 1 1", web.certificate), "usage 0"],
    ["pkix-ee", tlsaOf("1 1 1", odd.certificate), "usage 1, though it would match"],
    ["usage-4", rawTlsa(4, 1, 1, octets), "an unknown usage"],
    ["selector-2", rawTlsa(3, 2, 1, octets), "an unknown selector"],
    ["matching-9", rawTlsa(3, 1, 9, octets), "an unknown matching type"],
    ["short", rawTlsa(3, 1, 1, octets.subarray(0, 31)), "a digest one octet short"],
    ["not-der", rawTlsa(2, 0, 0, octets), "a certificate that is none"],
  ] as const;
  for (const [name, record, about] of rows) {
    own(`${name}.dane.test`, { tls: pem(odd) }, record);
    sheet(`${name}.dane.test`, `${about} cannot be used`, {
      may: "encrypted",
      "dane-only": "waits tlsa-invalid",
      ...(name === "pkix-ee" && { encrypt: "encrypted", authenticated: "waits certificate-not-trusted" }),
    });
  }
  own("unusable-valid.dane.test", { tls: pem(valid("mx.unusable-valid.dane.test")) }, tlsaOf("1 1 1", odd.certificate));
  sheet("unusable-valid.dane.test", "where no record can be used, a certificate for the MX host's name still can", {
    authenticated: "private-ca",
    may: "trusted",
  });
  own("unusable-clear.dane.test", {}, tlsaOf("1 1 1", odd.certificate));
  sheet("unusable-clear.dane.test", "records that cannot be used still demand TLS [RFC 7672 §2.2]", {
    may: "waits starttls-not-supported",
    ignore: "clear",
  });
  own("unusable-too.dane.test", { tls: pem(odd) }, tlsaOf("1 1 1", odd.certificate), good);
  sheet("unusable-too.dane.test", "a record that cannot be used does not spoil one that can", {
    may: "dane-ee",
    "dane-only": "dane-ee",
  });
  own("unusable-hides.dane.test", { tls: pem(odd) }, rawTlsa(3, 1, 9, octets), staleTlsa("3 1 1"));
  sheet("unusable-hides.dane.test", "nor does it excuse one that does not match", { may: "waits tlsa-invalid" });
}
