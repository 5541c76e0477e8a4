/** The whole table behind the DANE tests: every row's zones and hosts, written into one plan. */
import type { MxTls } from "../../peers/mx-server.ts";
import { tlsaOf } from "../rig/tlsa.ts";
import type { HostOptions, Plan } from "../rig/world.ts";
import { type Case, certificates, pem, publish } from "./case.ts";
import { hostile, several } from "./hosts.ts";
import { denials, failures } from "./lookups.ts";
import { aliases } from "./names.ts";
import { unusable, usages } from "./records.ts";

export interface Sheet {
  readonly cases: readonly Case[];
  /** PEM: what `trust` and Postfix's CAfile hold. */
  readonly trusted: string;
  /** What hosts show later: a roll-over. */
  readonly renewed: MxTls;
  /** And what is published nowhere. */
  readonly foreign: MxTls;
}

export function daneSheet(plan: Plan): Sheet {
  const cases: Case[] = [];
  const sheet = (domain: string, about: string, endings: Case["endings"], more: Partial<Case> = {}) =>
    void cases.push({ domain, about, endings, ...more });
  const made = certificates();
  plan.zone("dane.test", {
    damaged: ["bogus-mx MX", "mx.bogus-a A", "_25._tcp.mx.bogus-tlsa TLSA", "_25._tcp.mx1.second TLSA"],
    stripped: ["_25._tcp.mx.stripped TLSA"],
  });
  plan.zone("plain.test", { state: "unsigned" });
  plan.zone("hoster.test");
  const own = (domain: string, host: HostOptions, ...tlsa: readonly string[]) => {
    plan.record(domain, `MX 10 mx.${domain}.`);
    plan.host(`mx.${domain}`, host);
    publish(plan, `mx.${domain}`, tlsa);
  };
  own("cold.dane.test", { tls: pem(made.odd) }, tlsaOf("3 1 1", made.odd.certificate)); // asked for after the table
  usages(sheet, own, made);
  unusable(sheet, own, made);
  denials(sheet, own, made, plan);
  failures(sheet, own, made, plan);
  aliases(sheet, made, plan);
  several(sheet, made, plan);
  hostile(sheet, own, made);
  return {
    cases,
    trusted: made.web.certificate,
    renewed: pem(made.renewed),
    foreign: pem(made.valid("mx.rolling.dane.test")),
  };
}
