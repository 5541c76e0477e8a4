/** English words of notices. */
import type { Wording } from "./wording.ts";

const its = (rest: string) => (domain: string) => `the mail system of ${domain} ${rest}`;

export const english: Wording = {
  language: "en",
  date: (at) =>
    `${new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" }).format(at)} UTC`,
  reasons: {
    "starttls-not-supported": its("offers no encryption at present"),
    "certificate-host-mismatch": its("shows a certificate that is made out to another name"),
    "certificate-expired": its("shows a certificate that is not valid at this time"),
    "certificate-not-trusted": its("shows a certificate of an issuer that is not trusted here"),
    "validation-failure": its("did not complete an encrypted connection"),
    "tlsa-invalid": its("shows a certificate that does not fit what the domain publishes in DNS"),
    "dnssec-invalid": (domain) => `the signed entries of ${domain} in DNS could not be verified`,
    "dane-required": (domain) => `${domain} does not publish the proof of its certificate (DANE) that is demanded here`,
    "sts-policy-fetch-error": (domain) => `the mail security policy that ${domain} announces could not be fetched`,
    "sts-policy-invalid": (domain) => `the mail security policy that ${domain} publishes cannot be read`,
    "sts-webpki-invalid": its("does not meet the mail security policy that the domain publishes"),
    "tls-parameters-too-weak": its("offers only encryption that is too weak"),
    "fingerprint-mismatch": its("shows another certificate than the one agreed upon"),
    "client-certificate-demanded": its("demands a certificate from us that we do not have or that it does not accept"),
    "requiretls-not-supported": its("does not promise to pass the message on over encryption only"),
    "mx-not-in-policy": (domain) => `a mail host of ${domain} is not one that its published policy names`,
    "smtputf8-not-supported": its("does not accept addresses with letters outside ASCII"),
    "8bitmime-not-supported": its("does not accept messages with 8-bit content"),
    "dns-failed": its("could not be looked up in DNS"),
    "no-such-domain": (domain) => `the domain ${domain} does not exist`,
    "host-not-found": (domain) => `no mail system of ${domain} was found`,
    "null-mx": (domain) => `the domain ${domain} states that it accepts no mail`,
    "connection-failed": its("could not be reached"),
    "connection-lost": its("broke the connection off"),
    "smtp-4xx": its("did not accept the message for the time being"),
    "smtp-5xx": its("refused the message"),
    "not-permitted": (domain) => `the administrators of this gateway permit no mail to ${domain}`,
    loop: (domain) => `the message for ${domain} would have come back to this gateway again and again`,
    "treatment-required": (domain) =>
      `what is demanded of messages to ${domain} (S/MIME or DKIM) was not done to this one`,
    expired: its("did not take the message in time"),
    bounced: () => "the administrator of this gateway has ended it",
    "internal-error": () => "this gateway itself had a fault",
  },
  senderName: "Mail Delivery System",
  failure: {
    subject: (domain) => `Not delivered: your message to ${domain}`,
    opening: ({ hostname, received, subject }) =>
      `This is the mail gateway ${hostname}. Your message${subject === "" ? "" : ` "${subject}"`} of ${received} was not delivered to the recipients named below. Nothing more will be tried for them.`,
    notReached: "These recipients were not reached:",
    andMore: (count) => `and ${count} more`,
    because: (reason) => `The reason: ${reason}.`,
    expired: "It was tried again and again until its time had passed; this is the last reason.",
    stayedEncrypted: "For these recipients, the message has not left the house unencrypted.",
    mayHaveArrived: "The connection broke at the very end of one attempt: the message may have arrived nevertheless.",
    theySaid: "The other mail system said:",
    technical: (reason, status) => `Technical name of the reason: ${reason} (status ${status}).`,
    closing: (postmaster) => `If you have questions, please ask ${postmaster}. The header of your message is attached.`,
    redacted: (postmaster) =>
      `If you have questions, please ask ${postmaster}. Your message demands protection all the way, so nothing of its header is repeated here.`,
  },
  delay: {
    subject: (domain) => `Delayed: your message to ${domain}`,
    opening: ({ hostname, received, subject }) =>
      `This is the mail gateway ${hostname}. Your message${subject === "" ? "" : ` "${subject}"`} of ${received} is still waiting for the recipients named below. You need not do anything: it is tried again and again.`,
    notReached: "These recipients have not been reached yet:",
    lastTry: (date) =>
      `The last try will be on ${date}. You will be told when it goes through, and also if it never does.`,
  },
  relayed: {
    subject: (domain) => `Passed on: your message to ${domain}`,
    opening: ({ hostname, received, subject }) =>
      `This is the mail gateway ${hostname}. You asked to be told what becomes of your message${subject === "" ? "" : ` "${subject}"`} of ${received}.`,
    reached: "For these recipients it was passed on:",
    meaning: (host) =>
      `The mail system ${host} has taken it over. It does not report any further, so this is the last you will hear from us.`,
  },
  arrived: {
    subject: (domain) => `Delivered after all: your message to ${domain}`,
    opening: ({ hostname, received, subject }) =>
      `This is the mail gateway ${hostname}. You were told that your message${subject === "" ? "" : ` "${subject}"`} of ${received} was delayed. It has gone through now.`,
    reached: "For these recipients it was delivered to their mail system:",
    meaning: (host) => `The mail system ${host} has taken it over.`,
  },
  copy: {
    subject: (partner) => `Mail to ${partner} is waiting`,
    opening: ({ hostname, partner, received }) =>
      `This is the mail gateway ${hostname}. You look after the partner ${partner}. A message to this partner has been waiting since ${received}.`,
    sender: (address) => `Its sender: ${address}`,
    lastTry: (date) => `It is tried again and again; the last try will be on ${date}.`,
    remedy: (text) => `What helps: ${text}`,
    queueId: (id) => `Queue id of the message, for your administrator: ${id}`,
  },
  alarm: {
    raised: (code, partner) => `Alarm: ${code}${partner === "" ? "" : ` (${partner})`}`,
    cleared: (code, partner) => `Over: ${code}${partner === "" ? "" : ` (${partner})`}`,
    opening: (hostname) => `This is the mail gateway ${hostname}.`,
    since: (date) => `Since: ${date}`,
    until: (date) => `Until: ${date}`,
  },
  undeliverable: {
    subject: (domain) => `A notice to ${domain} could not be delivered`,
    opening: ({ hostname, received }) =>
      `This is the mail gateway ${hostname}. A notice that it wrote on ${received} could not be delivered to the person it was meant for.`,
    closing: "The header of that notice is attached. Nothing more will be sent about it.",
  },
};
