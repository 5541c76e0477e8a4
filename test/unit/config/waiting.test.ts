/** What the keys on waiting mail, report mode, the ladder, aliases and rules come to. */
import { describe, expect, it } from "vitest";
import { decisions } from "../../../src/decide/decide.ts";
import { parseMailbox } from "../../../src/mail/mailbox.ts";
import { BASE, gateway, load, NOW, settings, warnings } from "./memory.ts";

const D = "domains: [acme.example]\n";
const DAY = 86_400_000;
const END = Date.UTC(2027, 0, 1);
const OWN = 'domains: [{domain: example.org, next_hop: "[127.0.0.1]:2600", tls_only_alias: secure.example.org}]\n';

async function partnerPolicy(gateway: string, partner: string) {
  const { policy } = await settings({ "sealpost.yaml": BASE + gateway, "partners/acme.yaml": D + partner });
  return policy.partners[0]!;
}

describe("defaults", () => {
  it("are those of the contract", async () =>
    expect(await settings({ "sealpost.yaml": BASE })).toMatchObject({
      delayNoticesMs: [4 * 3_600_000, DAY],
      ratePerDestination: 0,
      historyMs: 30 * DAY,
      alarms: { waitingMs: 3_600_000, mail: true },
      admin: { contentAccess: false },
      policy: { rules: [], default: { mode: "enforce", onExpiry: [], tls: { tlsRequiredNo: "ignore" } } },
    }));
});

describe("what is written", () => {
  it("reaches the settings", async () =>
    expect(
      await settings({
        "sealpost.yaml": `${BASE}queue: {delay_notices: [24h, 1h], rate_per_destination: 60}\nhistory: {keep: 0s}\nalarms: {waiting: 0s, mail: false}\nadmin: {content_access: true}\n`,
      }),
    ).toMatchObject({
      delayNoticesMs: [3_600_000, DAY],
      ratePerDestination: 60,
      historyMs: 0,
      alarms: { waitingMs: 0, mail: false },
      admin: { contentAccess: true },
    }));
  it("of an age that no mail reaches is worth a word", async () => {
    const loaded = await load({ "sealpost.yaml": `${BASE}queue: {lifetime: 1d, delay_notices: [4h, 2d]}\n` });
    expect(loaded.ok && loaded.warnings.map(({ message }) => message)).toContainEqual(
      expect.stringContaining("no mail waits that long"),
    );
  });
});

describe("report mode", () => {
  const until = "report_until: 2026-12-31\n";
  it.each([
    ["of the gateway", `mode: report\n${until}`, "", "report"],
    ["of its outbound", `outbound: {mode: report, report_until: 2026-12-31}\n`, "", "report"],
    ["of the gateway, which a partner does not share", `mode: report\n${until}`, "mode: enforce\n", "enforce"],
    ["of a partner", "", `mode: report\n${until}`, "report"],
    ["of a partner's outbound", "", "outbound: {mode: report, report_until: 2026-12-31}\n", "report"],
    ["of a partner, but not of its outbound", "", `mode: report\n${until}outbound: {mode: enforce}\n`, "enforce"],
  ])("%s", async (_, gateway, partner, mode) => {
    const { outbound } = await partnerPolicy(gateway, partner);
    expect([outbound.mode, outbound.reportEndsAt]).toEqual([mode, mode === "report" ? END : undefined]);
  });
  it.each([
    ["of the gateway", `mode: report\n${until}`, "", "sealpost.yaml"],
    ["of a partner", `mode: report\n${until}`, `mode: report\n${until}`, "acme.yaml"],
    [
      "of a partner, nearer than the outbound of all",
      `outbound: {mode: report, ${until.trim()}}\n`,
      "mode: enforce\n",
      "acme.yaml",
    ],
    ["of a partner's outbound", "", "mode: enforce\noutbound: {mode: report, report_until: 2026-12-31}\n", "acme.yaml"],
  ])("%s names the line that says it", async (_, gateway, partner, file) => {
    const { outbound } = await partnerPolicy(gateway, partner);
    expect(outbound.origins["mode"]?.file).toContain(file);
    const isReport = outbound.mode === "report";
    expect(outbound.origins["report_until"]?.file).toBe(isReport ? outbound.origins["mode"]?.file : undefined);
  });
  it("of an exception ends with it", async () => {
    const { exceptions } = await partnerPolicy(
      "",
      "exceptions: [{until: 2026-12-31, approved_by: a@example.org, reason: r, outbound: {mode: report}}]\n",
    );
    expect(exceptions[0]).toMatchObject({ mode: "report", reportEndsAt: END });
  });
  it("that has ended is enforced, with a warning", async () => {
    const loaded = await load({
      "sealpost.yaml": BASE,
      "partners/acme.yaml": `${D}mode: report\nreport_until: 2026-11-01\n`,
    });
    expect(loaded.ok && loaded.warnings.map(({ message }) => message)).toContainEqual(
      expect.stringContaining("report mode ended with 2026-11-01"),
    );
  });
  it("never holds for mail to our own domains", async () => {
    const { policy } = await settings({ "sealpost.yaml": `${BASE}mode: report\n${until}${OWN}` });
    expect(policy.ownDomains[0]?.outbound.mode).toBe("enforce");
  });
});

describe("the ladder", () => {
  it("is a list of steps in order, each with a lifetime", async () => {
    const { outbound } = await partnerPolicy(
      "",
      'outbound: {on_expiry: [{next_hop: "[b.example]:26"}, {smime_encrypt: true, approved_by: a@example.org, lifetime: 2d}, bounce]}\n',
    );
    expect(outbound.onExpiry).toEqual([
      {
        kind: "next-hop",
        nextHop: [{ kind: "host", host: "b.example", port: 26, implicitTls: false }],
        lifetimeMs: DAY,
      },
      { kind: "smime", approvedBy: "a@example.org", lifetimeMs: 2 * DAY },
    ]);
  });
  it.each(["bounce", "[bounce]"])("%s is none", async (steps) =>
    expect((await partnerPolicy("", `outbound: {on_expiry: ${steps}}\n`)).outbound.onExpiry).toEqual([]),
  );
});

describe("a TLS-only alias", () => {
  it("belongs to its domain, and its addresses are senders of ours", async () => {
    const { policy, accept } = await settings({ "sealpost.yaml": BASE + OWN });
    expect(policy.ownDomains[0]?.tlsOnlyAlias).toBe("secure.example.org");
    expect(policy.ownDomains[0]?.outbound.origins["tls_only_alias"]).toMatchObject({ line: 4 });
    expect([accept.ownDomains, accept.tlsOnlyAliases]).toEqual([
      ["example.org", "secure.example.org"],
      ["secure.example.org"],
    ]);
  });
});

describe("rules", () => {
  it("are plain data, with patterns from files", async () => {
    const { policy, files } = await settings({
      "sealpost.yaml": `${BASE}rules:
  - name: confidential
    when: {sender: ["*@hr.example.org", {file: legal.txt}], subject: "[tls]*", header: {Sensitivity: Company-Confidential}}
    then: {tls: {level: authenticated, min_version: TLSv1.3}, remove_subject_tag: true, smime: {sign: always}}
  - {name: away, when: {recipient: "*@x.example", sender: "<>"}, then: {next_hop: "[h.example]:25"}}
  - {name: never, when: {from: "*"}, then: {refuse: "not from here"}}
`,
      "legal.txt": "# the legal department\r\nann@legal.example.org\n\n  *@law.example.org\n",
    });
    expect(policy.rules).toMatchObject([
      {
        name: "confidential",
        when: {
          sender: ["*@hr.example.org", "ann@legal.example.org", "*@law.example.org"],
          subject: ["[tls]*"],
          header: { sensitivity: ["Company-Confidential"] },
        },
        effects: {
          tls: { level: "authenticated", minVersion: "TLSv1.3" },
          removeSubjectTag: true,
          smime: { sign: "always" },
        },
      },
      {
        when: { sender: [""], recipient: ["*@x.example"] },
        effects: { nextHop: [{ kind: "host", host: "h.example" }] },
      },
      { effects: { refuse: "not from here" } },
    ]);
    expect(files).toContain("/etc/sealpost/config/legal.txt");
  });
});

describe("a pattern file", () => {
  it("without a pattern is worth a word: the rule is for nobody", async () => {
    const tree = {
      ...gateway('rules: [{name: r, when: {sender: {file: who.txt}}, then: {refuse: "no"}}]\n'),
      "who.txt": "# nobody yet\n",
    };
    expect(await warnings(tree)).toEqual([expect.stringMatching(/^sealpost.yaml:4:34 who.txt holds no pattern/)]);
    expect((await settings(tree)).policy.rules[0]?.when.sender).toEqual([]);
  });
});

it("a rule may undo an inherited next hop", async () => {
  const { policy } = await settings(
    gateway('rules: [{name: r, when: {sender: "*"}, then: {next_hop: mx}}]\noutbound: {next_hop: "[h.example]:25"}\n'),
  );
  expect(policy.rules[0]?.effects.nextHop).toEqual([{ kind: "mx" }]);
});

describe("the nearest word on report mode", () => {
  it.each<[string, string, string, string, number | undefined]>([
    [
      "the gateway's outbound over the whole gateway",
      "mode: report\nreport_until: 2026-12-01\noutbound: {mode: report, report_until: 2026-12-31}\n",
      "",
      "report",
      END,
    ],
    [
      "a partner's own date over the gateway's",
      "mode: report\nreport_until: 2026-12-01\n",
      "mode: report\nreport_until: 2026-12-31\n",
      "report",
      END,
    ],
    [
      "a partner's outbound over its file, the date with it",
      "",
      "mode: report\nreport_until: 2026-12-01\noutbound: {mode: report, report_until: 2026-12-31}\n",
      "report",
      END,
    ],
    [
      "a partner's file over the gateway's outbound",
      "outbound: {mode: report, report_until: 2026-12-31}\n",
      "mode: enforce\n",
      "enforce",
      undefined,
    ],
    [
      "an enforcing outbound of the gateway over the whole gateway",
      "mode: report\nreport_until: 2026-12-31\noutbound: {mode: enforce}\n",
      "",
      "enforce",
      undefined,
    ],
  ])("%s", async (_, gateway, partner, mode, ends) => {
    const { outbound } = await partnerPolicy(gateway, partner);
    expect([outbound.mode, outbound.reportEndsAt]).toEqual([mode, ends]);
  });
  it("is also that of an exception, which may enforce under a partner that reports", async () => {
    const exception = (outbound: string) =>
      `mode: report\nreport_until: 2026-12-01\nexceptions: [{until: 2026-12-31, approved_by: a, reason: r, outbound: ${outbound}}]\n`;
    const modes = async (outbound: string) => (await partnerPolicy("", exception(outbound))).exceptions[0];
    expect(await modes("{mode: enforce}")).toMatchObject({ mode: "enforce" });
    expect(await modes("{tls: {level: may}}")).toMatchObject({ mode: "report", reportEndsAt: Date.UTC(2026, 11, 2) });
  });
});

describe("unlisted: refuse", () => {
  const tree = {
    "sealpost.yaml": `${BASE}outbound: {unlisted: refuse}\n${OWN}exceptions: [{until: 2026-12-31, approved_by: a, reason: r, domains: [late.example], outbound: {tls: {level: may}}}]\n`,
    "partners/acme.yaml": "domains: [acme.example, .acme.example]\naddresses: [anna@joint.example]\n",
  };
  it.each([
    ["bea@acme.example", true],
    ["bea@deep.sub.acme.example", true],
    ["anna@joint.example", true],
    ["bert@joint.example", false],
    ["bea@notacme.example", false],
    ["bea@other.example", false],
    ["bea@[192.0.2.1]", false],
    ["bea@late.example", false],
    ["anna@example.org", true],
  ])("%s: %s", async (address, permitted) => {
    const { policy } = await settings(tree);
    expect(decisions(policy)(parseMailbox(address)!, NOW).permitted).toBe(permitted);
  });
});
