/** The lines of `explain` that tell of certificates: whose we believe, which are pinned, and which one we show. */
import { X509Certificate } from "node:crypto";
import type { OutboundPolicy } from "../decide/policy.ts";
import { nameText } from "../mail/certificate.ts";
import type { Pin } from "../mail/tls-requirement.ts";
import { day, type Fact } from "./fact.ts";

export function trustFact({ tls }: OutboundPolicy, origin: { origin?: string }): Fact {
  const { ca, crl } = tls.trust;
  const revocation =
    crl.length === 0 ? "" : `, with ${crl.length === 1 ? "a revocation list" : `${crl.length} revocation lists`}`;
  if (ca === "system")
    return { key: "ca", label: "trusts", value: "system", text: `the CAs of this machine${revocation}`, ...origin };
  const value = ca.map((pem) => {
    const { subject, validTo } = new X509Certificate(pem);
    return { subject: nameText(subject), notAfter: day(Date.parse(validTo)) };
  });
  const text =
    value.length > 3
      ? `${value.length} CAs`
      : value.map(({ subject, notAfter }) => `${subject} (until ${notAfter})`).join("; ");
  return { key: "ca", label: "trusts", value, text: `only ${text}${revocation}`, ...origin };
}

export function pinsFact(pins: readonly Pin[], now: number, origin: { origin?: string }): Fact {
  const value = pins.map(({ sha256, of, notAfter }) => ({
    sha256,
    of,
    counts: notAfter === undefined || now < notAfter,
    ...(notAfter !== undefined && { notAfter: day(notAfter) }),
  }));
  const lines = value.map(({ sha256, of, counts, notAfter }) => {
    const until = notAfter === undefined ? "" : counts ? `, counts until ${notAfter}` : `, ended ${notAfter}`;
    return `${sha256} of the ${of}${until}`;
  });
  return { key: "pins", label: "pins", value, text: lines.join("\n"), ...origin };
}

export function clientCertificateFact({ tls }: OutboundPolicy, origin: { origin?: string }): Fact | undefined {
  if (tls.clientCertificate === undefined) return undefined;
  const { subject, validTo } = new X509Certificate(tls.clientCertificate.certificate);
  const notAfter = day(Date.parse(validTo));
  const name = nameText(subject);
  return {
    key: "clientCertificate",
    label: "we show",
    value: { subject: name, notAfter },
    text: `${name} (until ${notAfter})`,
    ...origin,
  };
}
