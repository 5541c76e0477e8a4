/**
 * All that the configuration names and that ends by itself: our certificates and keys, what partners are known by,
 * and whom we encrypt for. Pure; certificate-watch.ts tells of it.
 */
import { X509Certificate } from "node:crypto";
import type { Dated } from "./certificate-watch.ts";
import { checkBundle } from "./config/certificates.ts";
import type { Settings } from "./config/settings.ts";
import type { OutboundPolicy, OwnDomain, PartnerPolicy, TlsPolicy } from "./decide/policy.ts";
import { nameText } from "./mail/certificate.ts";
import type { SmimeSettings } from "./mail/smime-settings.ts";
import type { DkimKeySettings } from "./mail/treatment.ts";

type Named = Pick<Settings, "accept" | "policy"> & { readonly smime?: SmimeSettings };

export function datedCertificates({ accept, policy, smime }: Named): readonly Dated[] {
  const listeners = accept.listeners.flatMap(({ certificates }) => certificates.map(({ certificate }) => certificate));
  return [
    ...[...new Set(listeners)].flatMap((pem) => firstToEnd(pem, "Our TLS certificate", null)),
    ...[policy.default, ...policy.defaultExceptions].flatMap((one) => ofOutbound(one)),
    ...policy.partners.flatMap((one) => ofPartner(one, policy.default)),
    ...policy.ownDomains.flatMap(ofOwnDomain),
    ...(smime?.recipients ?? []).flatMap(({ certificate, file }) =>
      each(certificate, "The S/MIME certificate for recipients", null)
        .slice(0, 1)
        .map((one) => ({ ...one, ...ask, file })),
    ),
  ];
}

const ask = { remedy: "ask its holder for the next one, else mail to them is no longer encrypted" };

/** What a partner inherits is told of once, where it was written. */
function ofPartner({ outbound, exceptions }: PartnerPolicy, inherited: OutboundPolicy): readonly Dated[] {
  return [outbound, ...exceptions].flatMap((one) => ofOutbound(one, inherited));
}

function ofOutbound(outbound: OutboundPolicy, inherited?: OutboundPolicy): readonly Dated[] {
  const { tls, origins, partner } = outbound;
  const written = (key: string): { file: string } | undefined => {
    const [origin, other] = [origins[key], inherited?.origins[key]];
    const same = origin?.file === other?.file && origin?.line === other?.line && origin?.column === other?.column;
    return origin === undefined || same ? undefined : { file: origin.file };
  };
  return [
    ...clientCertificate(tls, partner, written("tls.client_certificate")),
    ...authorities(tls, partner, written("tls.ca")),
    ...pins(tls, partner, written("tls.fingerprints")),
  ];
}

type Written = { readonly file: string } | undefined;

function clientCertificate(tls: TlsPolicy, partner: string | null, written: Written): readonly Dated[] {
  if (written === undefined || tls.clientCertificate === undefined) return [];
  const what = `Our client certificate${partner === null ? "" : ` for partner ${partner}`}`;
  return firstToEnd(tls.clientCertificate.certificate, what, partner).map((one) => ({ ...one, ...written }));
}

function authorities({ trust }: TlsPolicy, partner: string | null, written: Written): readonly Dated[] {
  if (written === undefined || trust.ca === "system") return [];
  const remedy = "name the CA that comes after it";
  const what = `The CA certificate${of(partner)}`;
  return trust.ca.flatMap((pem) => each(pem, what, partner)).map((one) => ({ ...one, ...written, remedy }));
}

function pins({ fingerprints }: TlsPolicy, partner: string | null, written: Written): readonly Dated[] {
  if (written === undefined) return [];
  const remedy = "see that the digest of the next certificate is listed beside it";
  return fingerprints.flatMap(({ sha256, notAfter }) => {
    const what = `The pin ${sha256.slice(0, 16)}…${of(partner)}`;
    return notAfter === undefined ? [] : [{ what, partner, endsAt: notAfter, ...written, remedy }];
  });
}

function of(partner: string | null): string {
  return partner === null ? "" : ` of partner ${partner}`;
}

function ofOwnDomain({ domain, outbound, dkim, smime }: OwnDomain): readonly Dated[] {
  return [
    ...ofOutbound(outbound),
    ...smime.flatMap(({ certificate, address }) =>
      firstToEnd(certificate, `The S/MIME certificate that signs for ${address ?? domain}`, null),
    ),
    ...dkim.flatMap((key) => {
      const { selector, endsAt } = key;
      if (endsAt === undefined || isFollowed(key, dkim)) return [];
      const remedy = "publish the next key and write it beside it (sealpost dkim generate)";
      return [{ what: `The DKIM key ${selector} of ${domain}`, partner: null, endsAt, remedy }];
    }),
  ];
}

/** A rotation that is already arranged needs no alarm: another key of the kind signs when this one no longer does. */
function isFollowed({ algorithm, endsAt = 0, selector }: DkimKeySettings, keys: readonly DkimKeySettings[]): boolean {
  return keys.some(
    (next) =>
      next.selector !== selector &&
      next.algorithm === algorithm &&
      (next.notBefore ?? 0) <= endsAt &&
      (next.endsAt ?? Number.POSITIVE_INFINITY) > endsAt,
  );
}

function each(pem: string, what: string, partner: string | null): Dated[] {
  return readAll(pem).map((certificate) => ({
    what: `${what}, ${nameOf(certificate)},`,
    partner,
    endsAt: certificate.validToDate.getTime(),
  }));
}

/** A chain is good for as long as all of it is. */
function firstToEnd(pem: string, what: string, partner: string | null): Dated[] {
  const [first] = each(pem, what, partner).toSorted((a, b) => a.endsAt - b.endsAt);
  return first === undefined ? [] : [first];
}

/** config/ has refused what cannot be read. */
function readAll(pem: string): X509Certificate[] {
  const bundle = checkBundle(pem);
  return "message" in bundle ? [] : bundle.certificates.map((text) => new X509Certificate(text));
}

/** Without a subject, its alternative names say whose it is (RFC 5280 §4.1.2.6). */
function nameOf({ subject, subjectAltName }: X509Certificate): string {
  return nameText(subject) || (subjectAltName ?? "without a name");
}
