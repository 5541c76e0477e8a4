/** Features that come later: their whole form is known, what asks for them is refused, what means "off" is taken. */
import { describe, expect, it } from "vitest";
import { BASE, gateway, partner, problems, settings, type Tree } from "./memory.ts";

const D = "domains: [acme.example]\n";
const inListener = (text: string): Tree => ({
  "sealpost.yaml": `hostname: relay.example.org\nlisteners: [{clients: [127.0.0.1], ${text}}]\n`,
});
const own = (text: string) => gateway(`domains: [{domain: example.org, next_hop: "[127.0.0.1]:2600", ${text}}]\n`);
const inbound = (text: string) => gateway(`inbound: {${text}}\n`);

describe("what asks for a feature not there yet is refused", () => {
  it.each<[string, Tree]>([
    ["workers", gateway("workers: 2\n")],
    ["direction inbound", inListener("direction: inbound")],
    ["direction both", inListener("direction: both")],
    ["relays", inListener("relays: [10.0.0.1]")],
    ["recipients callout", own("recipients: callout")],
    ["recipients file", own("recipients: {file: list}")],
    ["recipients ldap", own('recipients: {ldap: {url: "ldaps://x", base: "dc=x"}}')],
    ["content filter of a domain", own('content_filter: {url: "http://127.0.0.1:11334"}')],
    ["postgres", gateway('queue: {store: {url: "postgres://db/queue"}}\n')],
    ["memory", gateway("queue: {memory: 1GiB}\n")],
    ["report mode of incoming mail", partner(`${D}inbound: {mode: report}\n`)],
    ["inbound TLS", partner(`${D}inbound: {tls: {require: true}}\n`)],
    ["authentication", inbound("authentication: {dmarc: check}")],
    ["smime verification", inbound("smime: {verify: mark}")],
    ["content filter", inbound('content_filter: {milter: "inet:11332@localhost"}')],
    ["dnsbl", inbound("dnsbl: [zen.example]")],
    ["syslog", gateway("log: {to: {syslog: local}}\n")],
    ["webhook", gateway('alarms: {webhook: "https://x.example"}\n')],
    ["admin tls", gateway("admin: {tls: {certificate: a, key: b}}\n")],
  ])("%s", async (_, tree) => {
    const found = await problems(tree);
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/:\d+:\d+ \S+: not available yet.* → (?:write|remove) /);
  });
});

it("what means off is taken everywhere", async () => {
  const loaded = await settings({
    "sealpost.yaml": `${BASE}workers: auto
dns: {trust_ad: auto}
domains: [{domain: example.org, next_hop: "[127.0.0.1]:2600", recipients: any, dkim: [], smime: null, tls_only_alias: "", content_filter: {url: ""}}]
queue: {store: sqlite, delay_notices: [], rate_per_destination: 0, memory: 256MiB}
outbound: {headers: keep, dkim: none, smime: {sign: never, encrypt: never}, on_expiry: [bounce], tls: {dane: ignore, mta_sts: ignore, tls_required_no: ignore}}
inbound:
  tls: {require: false, require_from: false}
  authentication: {spf: off, dkim: off, dmarc: off, arc: off}
  smime: {verify: "off", subject_tag: "", decrypt: "off", harvest: off}
  content_filter: {url: "", milter: "", send: off}
  dnsbl: []
mode: enforce
smime: {ldap: null, revocation: {check: false}}
rules: []
history: {keep: 0s}
alarms: {waiting: 0s, certificate_days: [], mail: false, webhook: null}
admin: {tls: null, content_access: false}
`,
    "partners/acme.yaml": `${D}mode: enforce\noutbound: {mode: enforce, tls: {dane: ignore}}\ninbound: {mode: enforce}\n`,
  });
  expect(loaded.policy.partners).toHaveLength(1);
});
