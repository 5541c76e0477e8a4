import { describe, expect, it } from "vitest";
import { demandsEncryption, rememberClear } from "../../../src/clear-text.ts";
import type { Climb } from "../../../src/climb.ts";
import type { OutboundPolicy } from "../../../src/decide/policy.ts";
import type { MessageFacts } from "../../../src/mail/delivery.ts";
import type { TlsLevel } from "../../../src/mail/tls-requirement.ts";
import { outbound, tls } from "../decide/policies.ts";
import { delivery, facts } from "./fixtures.ts";

const at = (level: TlsLevel): OutboundPolicy => outbound({ tls: tls({ level }) });

describe("encryption is demanded", () => {
  const required = { ...facts.envelope, mail: { ...facts.envelope.mail, requireTls: true } };
  it.each<[string, OutboundPolicy, Partial<MessageFacts>, boolean]>([
    ["at encrypt", at("encrypt"), {}, true],
    ["at authenticated", at("authenticated"), {}, true],
    ["not at may", at("may"), {}, false],
    ["not at none", at("none"), {}, false],
    ["not in report mode", outbound({ mode: "report" }), {}, false],
    ["by REQUIRETLS, whatever the level", at("may"), { envelope: required }, true],
    ["by a TLS-only alias, whatever the level", at("may"), { demands: { alias: true } }, true],
    ["not by a wish for less", at("may"), { demands: { tlsRequiredNo: true } }, false],
  ])("%s", (_, policy, over, expected) => {
    expect(demandsEncryption(policy, { ...facts, ...over })).toBe(expected);
  });
});

describe("an attempt that would have gone in clear", () => {
  const next = { at: 1, reason: "smtp-4xx", detail: "" } as const;
  const waits: Climb = {
    settled: { delivered: [], failed: [], expired: [], next, report: { reached: true } },
    moved: [],
  };
  const { next: _, ...done } = waits.settled;
  const clear = [{ way: at("encrypt") }, { way: at("may") }];

  it("is remembered with what waits, beside all else that changes of its course", () => {
    const on = delivery({ course: { delayNotices: 1 } });
    const climbed: Climb = { ...waits, change: { course: { delayNotices: 1, step: 2 }, noticeAt: 5 }, instead: waits };
    const noted = rememberClear(on, climbed, clear);
    expect(noted.change).toEqual({ course: { delayNotices: 1, step: 2, clear: true }, noticeAt: 5 });
    expect(noted.instead?.change).toEqual({ course: { delayNotices: 1, clear: true } });
  });

  it.each<[string, Climb, Parameters<typeof rememberClear>[2], true | undefined]>([
    ["nothing waits any more", { ...waits, settled: done }, clear, undefined],
    ["all demanded encryption", waits, [{ way: at("encrypt") }], undefined],
    ["it is known already", waits, clear, true],
  ])("changes nothing where %s", (_, climbed, attempts, known) => {
    expect(rememberClear(delivery(known && { course: { clear: known } }), climbed, attempts)).toEqual(climbed);
  });
});
