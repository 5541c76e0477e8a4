/** `protocols=` of a policy table to the lowest version of TLS, as Postfix and OpenSSL read it. Pure. */
import type { TlsVersion } from "../../mail/tls-requirement.ts";

const ALL = ["SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const;
type Protocol = (typeof ALL)[number];

/** Wire numbers, since Postfix 3.6. */
const NUMBERS: Readonly<Record<string, Protocol>> = {
  "200": "SSLv2",
  "300": "SSLv3",
  "301": "TLSv1",
  "302": "TLSv1.1",
  "303": "TLSv1.2",
  "304": "TLSv1.3",
};

export type Protocols =
  | { readonly ok: true; readonly lowest: TlsVersion; readonly highest: TlsVersion }
  /** Postfix does not read it, or nothing of TLS is left. */
  | { readonly ok: false; readonly why: string };

/** `>=TLSv1.2`, `<=TLSv1.3`, `!TLSv1`, `TLSv1.2`, separated by colons; nothing: all of them. */
export function readProtocols(value: string): Protocols {
  const named = new Set<Protocol>();
  const excluded = new Set<Protocol>();
  let [floor, ceiling] = [0, ALL.length - 1];
  for (const element of value.split(/[:,\s]+/).filter((one) => one !== "")) {
    const [, sign = "", name = ""] = /^(!|>=|<=)?(.*)$/s.exec(element) ?? [];
    const protocol = protocolOf(name, sign === ">=" || sign === "<=");
    if (protocol === undefined) return { ok: false, why: `Postfix knows no protocol ${element}` };
    if (sign === "!") excluded.add(protocol);
    else if (sign === ">=") floor = ALL.indexOf(protocol);
    else if (sign === "<=") ceiling = ALL.indexOf(protocol);
    else named.add(protocol);
  }
  const enabled = ALL.map(
    (one, at) => at >= floor && at <= ceiling && !excluded.has(one) && (named.size === 0 || named.has(one)),
  );
  const lowest = enabled.findIndex((is, at) => is && at >= ALL.indexOf("TLSv1"));
  if (lowest < 0) return { ok: false, why: "no version of TLS is left" };
  // OpenSSL: what lies above a gap is off as well (postconf(5), smtp_tls_mandatory_protocols).
  const gap = enabled.findIndex((is, at) => !is && at > lowest);
  const highest = gap < 0 ? ALL.length - 1 : gap - 1;
  return { ok: true, lowest: ALL[lowest] as TlsVersion, highest: ALL[highest] as TlsVersion };
}

function protocolOf(name: string, numbersToo: boolean): Protocol | undefined {
  const byName = ALL.find((one) => one.toLowerCase() === name.toLowerCase());
  if (byName !== undefined || !numbersToo) return byName;
  const number = /^(?:0x)?0?(\d{3})$/i.exec(name)?.[1];
  return number === undefined ? undefined : NUMBERS[number];
}
