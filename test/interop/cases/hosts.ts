/** Rows on several hosts of one domain, and on hosts that try to get at mail in other ways. */
import { staleTlsa, tlsaOf } from "../rig/tlsa.ts";
import type { HostOptions, Plan } from "../rig/world.ts";
import { ADDED, type Add, type Made, type Own, pem, publish } from "./case.ts";

const INJECTED =
  "what came in clear after the 220 ends the session; Postfix throws it away and goes on (RFC 3207 §4.2)";

/** Several hosts: each is judged by itself, and one that fails is passed over. */
export function several(sheet: Add, { odd, renewed }: Made, plan: Plan): void {
  const right = tlsaOf("3 1 1", odd.certificate);
  const two = (
    domain: string,
    first: readonly [HostOptions, ...string[]],
    second: readonly [HostOptions, ...string[]],
  ) => {
    for (const [index, [options, ...tlsa]] of [first, second].entries()) {
      const host = `mx${index + 1}.${domain}`;
      plan.record(domain, `MX ${index + 1}0 ${host}.`);
      plan.host(host, options);
      publish(plan, host, tlsa);
    }
  };
  const secured = { tls: pem(odd) };
  two("second.dane.test", [secured, right], [secured, right]);
  sheet(
    "second.dane.test",
    "TLSA of the first is bogus, the second matches [RFC 7672 §2.2.1]",
    { may: "dane-ee", "dane-only": "dane-ee" },
    {
      through: "mx2.second.dane.test",
    },
  );
  two("stale-first.dane.test", [secured, staleTlsa("3 1 1")], [secured, right]);
  sheet(
    "stale-first.dane.test",
    "the first does not match, the second does",
    { may: "dane-ee", encrypt: "dane-ee", "dane-only": "dane-ee" },
    {
      through: "mx2.stale-first.dane.test",
      differs: { encrypt: ADDED },
    },
  );
  two("all-stale.dane.test", [secured, staleTlsa("3 1 1")], [{ tls: pem(renewed) }, right]);
  sheet("all-stale.dane.test", "neither matches", { may: "waits tlsa-invalid", "dane-only": "waits tlsa-invalid" });
  two("half.dane.test", [secured, staleTlsa("3 1 1")], [secured]);
  sheet(
    "half.dane.test",
    "the first does not match, the second publishes none: each by itself [RFC 7672 §2.2.1]",
    {
      may: "encrypted",
      "dane-only": "waits tlsa-invalid",
      authenticated: "waits tlsa-invalid",
    },
    { through: "mx2.half.dane.test" },
  );
  two("half-up.dane.test", [secured], [secured, right]);
  sheet(
    "half-up.dane.test",
    "the first publishes none: enough for may, not for dane-only",
    { "dane-only": "dane-ee" },
    {
      through: "mx2.half-up.dane.test",
    },
  );
  two("down.dane.test", [{ ...secured, absent: true }, right], [secured, right]);
  sheet(
    "down.dane.test",
    "the first is down",
    { may: "dane-ee", "dane-only": "dane-ee" },
    { through: "mx2.down.dane.test" },
  );
  two("clear-first.dane.test", [{}, right], [secured, right]);
  sheet(
    "clear-first.dane.test",
    "the first withholds STARTTLS, the second matches",
    { may: "dane-ee", "dane-only": "dane-ee" },
    {
      through: "mx2.clear-first.dane.test",
    },
  );
}

/** Hosts that try to get at mail in other ways; TLSA matches their certificate. */
export function hostile(sheet: Add, own: Own, { odd, renewed }: Made): void {
  const right = tlsaOf("3 1 1", odd.certificate);
  const waits = (reason: string) => ({ may: `waits ${reason}`, "dane-only": `waits ${reason}` }) as const;
  const tls = pem(odd);
  own("refuses.dane.test", { tls, starttls: "refused" }, right);
  sheet("refuses.dane.test", "STARTTLS is answered with 454", waits("starttls-not-supported"));
  own("injects.dane.test", { tls, starttls: "inject" }, right);
  sheet("injects.dane.test", "plain text follows the 220", waits("validation-failure"), {
    differs: { may: INJECTED, "dane-only": INJECTED },
  });
  own("hangs.dane.test", { tls, starttls: "hang-after-220" }, right);
  sheet("hangs.dane.test", "silence in the handshake", waits("validation-failure"));
  own("drops.dane.test", { tls, starttls: "drop" }, right);
  sheet("drops.dane.test", "the connection is dropped at STARTTLS", { "dane-only": "waits validation-failure" });
  own("garbage.dane.test", { tls, starttls: "garbage" }, right);
  sheet("garbage.dane.test", "HTTP instead of a handshake", waits("validation-failure"));
  own(
    "old.dane.test",
    { tls: { ...tls, minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } },
    right,
  );
  sheet("old.dane.test", "TLS 1.1 only", waits("tls-parameters-too-weak"));
  own("changes.dane.test", { tls, extensionsInTls: ["STARTTLS", "X-OTHER"] }, right);
  sheet("changes.dane.test", "EHLO says other things inside TLS, STARTTLS again among them [RFC 3207 §4.2]", {
    "dane-only": "dane-ee",
  });
  own("other-key.dane.test", { tls: pem(renewed) }, right);
  sheet("other-key.dane.test", "somebody else's certificate", {
    ...waits("tlsa-invalid"),
    authenticated: "waits tlsa-invalid",
  });
}
