/** What an administrator can do about each reason for which mail waits or fails: one sentence. Closed by the type. */
import type { Reason } from "../mail/outcome.ts";

export function remedyFor(reason: Reason): string {
  return REMEDIES[reason];
}

export function isReason(text: string): text is Reason {
  return Object.hasOwn(REMEDIES, text);
}

const REMEDIES: Readonly<Record<Reason, string>> = {
  "starttls-not-supported":
    "Ask the administrators of the other side to offer STARTTLS; nothing crosses in clear meanwhile.",
  "certificate-host-mismatch":
    "Ask the other side for a certificate with the demanded name, or correct match after agreeing with them on the name.",
  "certificate-expired":
    "Ask the other side to renew the certificate; meanwhile an exception with an end date may lower the level.",
  "certificate-not-trusted": "Ask the other side for the whole chain of a public CA, or name their CA under ca.",
  "validation-failure":
    "The handshake broke: look for a proxy or somebody on the path, and ask the other side for their log.",
  "tlsa-invalid":
    "Ask the other side to publish TLSA records of the certificate they show: their DANE is broken for every sender.",
  "dnssec-invalid": "Ask the other side to mend the DNSSEC of their zone, and see that our resolver validates.",
  "dane-required":
    "The policy demands DANE and none is published that can be used: ask for it, or choose another level.",
  "sts-policy-fetch-error":
    "Ask the other side to serve their MTA-STS policy, and see that HTTPS outward is open for this gateway.",
  "sts-policy-invalid": "Ask the other side to correct their MTA-STS policy (RFC 8461 §3.2).",
  "sts-webpki-invalid": "Ask the other side for a valid certificate for their policy host mta-sts.DOMAIN.",
  "tls-parameters-too-weak":
    "Ask the other side for TLS 1.2 or newer with forward secrecy; an exception with an end date may permit less.",
  "fingerprint-mismatch":
    "Compare the fingerprint with the partner by telephone, then add the new pin beside the old one.",
  "client-certificate-demanded":
    "Ask the other side which client certificate they accept, and name it under client_certificate.",
  "requiretls-not-supported": "The sender demands REQUIRETLS along the whole way, and this host does not offer it.",
  "mx-not-in-policy": "Ask the other side to name this host in their MTA-STS policy, or to take it out of their MX.",
  "smtputf8-not-supported": "The other side cannot take addresses beyond ASCII: use the recipient's ASCII address.",
  "8bitmime-not-supported": "The other side takes 7-bit mail only: have it sent as quoted-printable.",
  "dns-failed": "Look at the resolver with sealpost doctor, and at the zone of the other side; it is tried again.",
  "no-such-domain": "Correct the domain: DNS proves that there is no such name.",
  "host-not-found": "Ask the other side to publish addresses for their mail hosts, or correct next_hop.",
  "null-mx": "Nothing: the domain says that it takes no mail (RFC 7505).",
  "connection-failed": "See that the port is open from here (firewall, provider), and that the host is up.",
  "connection-lost": "Ask the other side why their server ends the session; it is tried again.",
  "smtp-4xx": "The other side puts us off for now: read its answer; it is tried again.",
  "smtp-5xx": "The other side refuses: read its answer.",
  loop: "Write a next_hop for this domain: its MX names this gateway.",
  "not-permitted":
    "outbound.unlisted is refuse, and no partner file names the destination: write one where mail may go there.",
  "treatment-required":
    "It was stored before S/MIME or DKIM was demanded, and is not made anew: have it sent again and remove this one.",
  expired: "Find the reason of the last attempts in the log.",
  bounced: "A person ended it with `sealpost queue bounce`.",
  "internal-error": "See the error events in the gateway's log.",
};
