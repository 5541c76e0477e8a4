import { describe, expect, it } from "vitest";
import { promoteText } from "../../../src/config/promote.ts";

const HEAD =
  "# ACME, asked for in March\nname: ACME AG  # for people\ndomains:\n  - acme.example   # and below\n  - .acme.example\n";

describe("promoting a partner file", () => {
  it.each([
    [
      "switches the mode of the whole file, and its end goes",
      `${HEAD}mode: report # until they are ready\nreport_until: 2026-12-31\n\n# the rest\noutbound: {tls: {level: secure}}\n`,
      `${HEAD}mode: enforce # until they are ready\n\n# the rest\noutbound: {tls: {level: secure}}\n`,
    ],
    [
      "takes the comment about the end with it, and no other",
      `${HEAD}# how\nreport_until: 2026-12-31   # then it must work\n# why\nmode: report\n`,
      `${HEAD}# how\n# why\nmode: enforce\n`,
    ],
    [
      "switches that of outbound where it is written there",
      `${HEAD}outbound:\n    mode: report\n    report_until: "2026-12-31"\n    tls:\n        level: secure\n`,
      `${HEAD}outbound:\n    mode: enforce\n    tls:\n        level: secure\n`,
    ],
    [
      "switches the nearest where both are written",
      `${HEAD}mode: report\nreport_until: 2026-12-31\noutbound:\n  mode: report\n  report_until: 2026-11-30\n`,
      `${HEAD}mode: report\nreport_until: 2026-12-31\noutbound:\n  mode: enforce\n`,
    ],
    [
      "edits a flow map, end last",
      `${HEAD}outbound: {tls: {level: secure}, mode: report, report_until: 2026-12-31}\n`,
      `${HEAD}outbound: {tls: {level: secure}, mode: enforce}\n`,
    ],
    [
      "edits a flow map, end first",
      `${HEAD}outbound: {report_until: 2026-12-31, mode: report}\n`,
      `${HEAD}outbound: {mode: enforce}\n`,
    ],
    ["takes quotes away with the word", `${HEAD}mode: "report"\nreport_until: 2026-12-31\n`, `${HEAD}mode: enforce\n`],
    [
      "keeps the line ends of Windows",
      "domains: [acme.example]\r\nmode: report\r\nreport_until: 2026-12-31\r\noutbound: {tls: {level: secure}}\r\n",
      "domains: [acme.example]\r\nmode: enforce\r\noutbound: {tls: {level: secure}}\r\n",
    ],
    [
      "keeps a byte order mark",
      "\ufeffdomains: [acme.example]\nmode: report\nreport_until: 2026-12-31\n",
      "\ufeffdomains: [acme.example]\nmode: enforce\n",
    ],
    [
      "keeps a file without a line end at its end",
      "domains: [acme.example]\nmode: report\nreport_until: 2026-12-31",
      "domains: [acme.example]\nmode: enforce\n",
    ],
    [
      "writes a line of its own where report mode is inherited",
      `${HEAD}# what they must prove\noutbound: {tls: {level: secure}}\n`,
      `${HEAD}mode: enforce\n# what they must prove\noutbound: {tls: {level: secure}}\n`,
    ],
    [
      "writes it behind the last line that has no end",
      "domains: [acme.example]\r\nowner: anna@example.org",
      "domains: [acme.example]\r\nowner: anna@example.org\r\nmode: enforce\r\n",
    ],
  ])("%s", (_, before, after) => {
    expect(promoteText(before)).toMatchObject({ text: after, inherited: !before.includes("report") });
  });

  it("tells the lines that go and come", () => {
    const text = `${HEAD}mode: report\nreport_until: 2026-12-31\noutbound: {}\n`;
    expect(promoteText(text)).toMatchObject({
      removed: ["mode: report", "report_until: 2026-12-31"],
      added: ["mode: enforce"],
    });
    expect(promoteText(`${HEAD}outbound: {}\n`)).toMatchObject({ removed: [], added: ["mode: enforce"] });
  });

  it.each([
    ["a mode from the environment", `${HEAD}mode: \${MODE}\n`],
    ["a mode by reference", `${HEAD}name: &m report\nmode: *m\n`],
    ["an anchor that others may refer to", `${HEAD}mode: &m report\n`],
    [
      "a flow map over several lines, with comments",
      `${HEAD}outbound: {mode: report, # now\n  report_until: 2026-12-31}\n`,
    ],
    ["one map for all, without a mode", "{domains: [acme.example]}\n"],
    ["a list", "- acme.example\n"],
    ["nothing", ""],
    ["what is no YAML", "mode: [report\n"],
  ])("leaves %s to a person", (_, text) => {
    expect(promoteText(text)).toEqual({
      message: expect.any(String),
      remedy: expect.stringContaining("mode: enforce"),
    });
  });

  it("survives a map in a map in a map …", () => {
    expect(promoteText(`${"{a: ".repeat(2_000)}1${"}".repeat(2_000)}`)).toHaveProperty("remedy");
  });
});
