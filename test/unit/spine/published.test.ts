import { expect, it } from "vitest";
import type { TlsPolicy } from "../../../src/decide/policy.ts";
import type { DomainName } from "../../../src/mail/domain-name.ts";
import type { Host } from "../../../src/mail/host.ts";
import type { DaneFacts } from "../../../src/mail/published.ts";
import { honoured } from "../../../src/decide/demand.ts";
import { askingFor } from "../../../src/published.ts";
import { tls } from "../decide/policies.ts";
import { host } from "./fixtures.ts";

const dnssec = { mx: "secure", address: "secure", expanded: "mx1" as DomainName } as const;
const mx: Host = { ...host("mx1.hoster.example"), dnssec };
const hop: Host = { ...mx, route: "next-hop", nextHopName: "relay.example" };
const { nextHopName: _, ...unnamed } = hop;

async function asked(
  of: readonly Host[],
  policy: Partial<TlsPolicy> = {},
  dane: DaneFacts = { kind: "none", why: "absent" },
) {
  const diary: string[] = [];
  const ask = askingFor("acme.example", honoured(tls(policy)), {
    dane: ({ name, port }, domain) => {
      diary.push(`dane ${name}:${port} ${domain}`);
      return Promise.resolve(dane);
    },
    mtaSts: (domain) => {
      diary.push(`mta-sts ${domain}`);
      return Promise.resolve({ kind: "none" });
    },
  });
  for (const one of of) await ask(one);
  return diary;
}

const daneOf = "dane mx1.hoster.example:25 acme.example";
const usable: DaneFacts = { kind: "usable", base: "mx1" as DomainName, names: [], records: [] };

it.each<[string, Host, Partial<TlsPolicy>, DaneFacts | undefined, string[]]>([
  ["both, MTA-STS at the recipients' domain", mx, {}, undefined, [daneOf, "mta-sts acme.example"]],
  ["MTA-STS at the next hop's domain [RFC 8461 §3.4]", hop, {}, undefined, [daneOf, "mta-sts relay.example"]],
  ["no MTA-STS at a next hop without a name", unnamed, {}, undefined, [daneOf]],
  ["no MTA-STS where DNS had no part in finding the host", host("mx1.hoster.example"), {}, undefined, [daneOf]],
  ["no MTA-STS where DANE decides [RFC 8461 §2]", mx, {}, usable, [daneOf]],
  ["no MTA-STS where DANE is waited for", mx, {}, { kind: "unknown", detail: "x" }, [daneOf]],
  [
    "MTA-STS where no TLSA record can be used",
    mx,
    {},
    { kind: "unusable", base: "mx1" as DomainName },
    [daneOf, "mta-sts acme.example"],
  ],
  ["no DANE that is to be ignored", mx, { dane: "ignore" }, undefined, ["mta-sts acme.example"]],
  ["no MTA-STS that is to be ignored", mx, { mtaSts: "ignore" }, undefined, [daneOf]],
  ["DANE alone at dane-only", mx, { level: "dane-only" }, undefined, [daneOf]],
  ["nothing at secure", mx, { level: "secure" }, undefined, []],
])("asks for %s", async (_, one, policy, dane, expected) => expect(await asked([one], policy, dane)).toEqual(expected));

it("asks once for each host name, whatever its addresses, and once for the domain", async () => {
  const second = { ...mx, name: "mx2.hoster.example" };
  expect(await asked([mx, { ...mx, address: "192.0.2.2" }, second, { ...second, port: 26 }])).toEqual([
    daneOf,
    "mta-sts acme.example",
    "dane mx2.hoster.example:25 acme.example",
    "dane mx2.hoster.example:26 acme.example",
  ]);
});
