/** The table of wrong configurations goes on: report mode, the ladder, rules, aliases, waiting. */
import { describe, it } from "vitest";
import { gateway, partner, type Tree } from "./memory.ts";
import { expectProblem, type Row } from "./rows.ts";

const D = "domains: [acme.example]\n";
const out = (text: string): Tree => gateway(`outbound:\n  ${text}\n`);
const own = (text: string): Tree =>
  gateway(`domains:\n  - {domain: example.org, next_hop: "[127.0.0.1]:2600", ${text}}\n`);
const rule = (when: string, then: string): Tree => gateway(`rules:\n  - {name: r, when: {${when}}, then: {${then}}}\n`);

const rows: Row[] = [
  [
    "report mode without an end",
    gateway("mode: report\n"),
    "sealpost.yaml:4:1",
    "without an end",
    "report_until: 2026-12-24",
  ],
  [
    "an end without report mode",
    partner(`${D}report_until: 2026-12-31\n`),
    "partners/acme.yaml:2:1",
    "no effect",
    "remove it",
  ],
  [
    "report mode for more than a year",
    partner(`${D}mode: report\nreport_until: 2028-01-01\n`),
    "partners/acme.yaml:3:1",
    "at most 366 days",
    "earlier date",
  ],
  ["a mode that is none", out("mode: test"), "sealpost.yaml:5:9", "its words", "enforce or report"],
  [
    "report mode of incoming mail",
    gateway("inbound: {mode: report}\n"),
    "sealpost.yaml:4:17",
    "not available yet",
    "enforce",
  ],
  [
    "a step after bounce",
    out('on_expiry: [bounce, {next_hop: "[b.example]:25"}]'),
    "sealpost.yaml:5:23",
    "never taken",
    "last",
  ],
  ["a step that is nothing", out("on_expiry: [{lifetime: 1d}]"), "sealpost.yaml:5:15", "either a next_hop", "bounce"],
  [
    "a step that is both",
    out('on_expiry: [{next_hop: "[b.example]:25", smime_encrypt: true, approved_by: a@example.org}]'),
    "sealpost.yaml:5:15",
    "either a next_hop",
    "bounce",
  ],
  [
    "a step that encrypts not",
    out("on_expiry: [{smime_encrypt: false}]"),
    "sealpost.yaml:5:15",
    "either a next_hop",
    "bounce",
  ],
  [
    "nobody has approved it",
    out("on_expiry: [{smime_encrypt: true}]"),
    "sealpost.yaml:5:15",
    "without approved_by",
    "WHO@DOMAIN",
  ],
  [
    "approval for what keeps every demand",
    out('on_expiry: [{next_hop: "[b.example]:25", approved_by: a@example.org}]'),
    "sealpost.yaml:5:57",
    "no effect",
    "remove it",
  ],
  [
    "a password for a step at a level that proves nobody",
    out('on_expiry: [{next_hop: {to: "[b.example]:25", auth: {user: u, password: p}}}]'),
    "sealpost.yaml:5:26",
    "hand the password to anybody",
    "secure",
  ],
  [
    "tls_required_no where nothing published counts",
    out("tls: {level: secure, tls_required_no: honour}"),
    "sealpost.yaml:5:24",
    "no effect at level secure",
    "remove it",
  ],
  [
    "a partner that honours TLS-Required: No under a default that does not",
    partner(`${D}outbound:\n  tls: {tls_required_no: honour}\n`),
    "partners/acme.yaml:3:9",
    "weaker than the default ignore",
    "tls_required_no: honour",
  ],
  ["an alias that is a domain of ours", own("tls_only_alias: example.org"), "sealpost.yaml:5:73", "example.org", ""],
  [
    "an alias of a partner",
    { ...own("tls_only_alias: acme.example"), "partners/acme.yaml": D },
    "partners/acme.yaml:1:11",
    "acme.example",
    "",
  ],
  [
    "one alias for two domains",
    gateway('domains:\n  - {domain: [a.example, b.example], next_hop: "[127.0.0.1]:26", tls_only_alias: s.example}\n'),
    "sealpost.yaml:5:82",
    "several domains",
    "entry of its own",
  ],
  ["a rule without a name", gateway("rules:\n  - {when: {}, then: {}}\n"), "sealpost.yaml:5:5", "is missing", ""],
  ["a rule that does nothing", rule('sender: "*"', ""), "sealpost.yaml:5:36", "does nothing", "level: authenticated"],
  [
    "a rule for everything by omission",
    rule("", "refuse: no"),
    "sealpost.yaml:5:15",
    "without a condition",
    'recipient: "*"',
  ],
  ["an unknown condition", rule("size: 1", "refuse: no"), "sealpost.yaml:5:22", 'unknown key "size"', "sender, from"],
  ["an unknown action", rule('sender: "*"', "headers: keep"), "sealpost.yaml:5:43", 'unknown key "headers"', "refuse"],
  [
    "refused and more",
    rule('sender: "*"', "refuse: no, smime: {sign: always}"),
    "sealpost.yaml:5:43",
    "no use for the rest",
    "alone",
  ],
  [
    "a rule with pins",
    rule('sender: "*"', "tls: {level: fingerprint}"),
    "sealpost.yaml:5:49",
    "no pins",
    "partner's file",
  ],
  [
    "a rule that would weaken",
    rule('sender: "*"', "tls: {level: may}"),
    "sealpost.yaml:5:49",
    "may adds nothing",
    "authenticated",
  ],
  [
    "a private CA in a rule",
    rule('sender: "*"', "tls: {level: verify, ca: a.pem}"),
    "sealpost.yaml:5:64",
    'unknown key "ca"',
    "level",
  ],
  [
    "no tag to remove",
    rule("subject: '*'", "remove_subject_tag: true"),
    "sealpost.yaml:5:44",
    "no tag to remove",
    "[tag]*",
  ],
  [
    "a rule for incoming mail",
    rule("direction: inbound", "refuse: no"),
    "sealpost.yaml:5:33",
    "not available yet",
    "outbound",
  ],
  [
    "too many stars",
    rule(`sender: "${"*a".repeat(21)}"`, "refuse: no"),
    "sealpost.yaml:5:30",
    "more than 20",
    "several",
  ],
  [
    "a list that is not there",
    rule("sender: {file: gone.txt}", "refuse: no"),
    "sealpost.yaml:5:30",
    "does not exist",
    "create it",
  ],
  [
    "a password for whoever answers",
    rule('sender: "*"', 'next_hop: {to: "[h.example]:25", auth: {user: u, password: p}}'),
    "sealpost.yaml:5:43",
    "hand the password to anybody",
    "authenticated",
  ],
  ["the way it goes anyhow", rule('sender: "*"', "next_hop: mx"), "sealpost.yaml:5:43", "another way", "[host]:port"],
  [
    "two rules of one name",
    gateway(
      'rules:\n  - {name: r, when: {sender: "*"}, then: {refuse: no}}\n  - {name: r, when: {from: "*"}, then: {refuse: no}}\n',
    ),
    "sealpost.yaml:6:12",
    "one name",
    "its own",
  ],
  ["a delay notice after no time", gateway("queue: {delay_notices: [0s]}\n"), "sealpost.yaml:4:25", "above zero", "4h"],
];

describe("a wrong word on waiting mail is told with its place and what to write instead", () => {
  it.each(rows)("%s", (...row) => expectProblem(row));
});
