/** German words of notices. */
import type { Wording } from "./wording.ts";

const its = (rest: string) => (domain: string) => `das Mailsystem von ${domain} ${rest}`;

export const german: Wording = {
  language: "de",
  date: (at) =>
    `${new Intl.DateTimeFormat("de-DE", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" }).format(at)} UTC`,
  reasons: {
    "starttls-not-supported": its("bietet zurzeit keine Verschlüsselung an"),
    "certificate-host-mismatch": its("zeigt ein Zertifikat, das auf einen anderen Namen ausgestellt ist"),
    "certificate-expired": its("zeigt ein Zertifikat, das zurzeit nicht gültig ist"),
    "certificate-not-trusted": its("zeigt ein Zertifikat eines Ausstellers, dem hier nicht vertraut wird"),
    "validation-failure": its("hat keine verschlüsselte Verbindung zustande gebracht"),
    "tlsa-invalid": its("zeigt ein Zertifikat, das nicht zu den Angaben der Domain im DNS passt"),
    "dnssec-invalid": (domain) => `die signierten Einträge von ${domain} im DNS ließen sich nicht prüfen`,
    "dane-required": (domain) =>
      `${domain} veröffentlicht den hier verlangten Nachweis seines Zertifikats (DANE) nicht`,
    "sts-policy-fetch-error": (domain) => `die von ${domain} angekündigte Sicherheitsrichtlinie war nicht abrufbar`,
    "sts-policy-invalid": (domain) => `die von ${domain} veröffentlichte Sicherheitsrichtlinie ist nicht lesbar`,
    "sts-webpki-invalid": its("erfüllt die Sicherheitsrichtlinie nicht, die die Domain veröffentlicht"),
    "tls-parameters-too-weak": its("bietet nur eine zu schwache Verschlüsselung an"),
    "fingerprint-mismatch": its("zeigt ein anderes Zertifikat als das vereinbarte"),
    "client-certificate-demanded": its(
      "verlangt von uns ein Zertifikat, das wir nicht haben oder das es nicht anerkennt",
    ),
    "requiretls-not-supported": its("sichert nicht zu, die Nachricht nur verschlüsselt weiterzugeben"),
    "mx-not-in-policy": (domain) => `ein Mailserver von ${domain} steht nicht in dessen veröffentlichter Richtlinie`,
    "smtputf8-not-supported": its("nimmt keine Adressen mit Zeichen außerhalb von ASCII an"),
    "8bitmime-not-supported": its("nimmt keine Nachrichten mit 8-Bit-Inhalt an"),
    "dns-failed": its("war im DNS nicht zu ermitteln"),
    "no-such-domain": (domain) => `die Domain ${domain} gibt es nicht`,
    "host-not-found": (domain) => `es wurde kein Mailsystem von ${domain} gefunden`,
    "null-mx": (domain) => `die Domain ${domain} gibt an, keine Mail anzunehmen`,
    "connection-failed": its("war nicht erreichbar"),
    "connection-lost": its("hat die Verbindung abgebrochen"),
    "smtp-4xx": its("hat die Nachricht vorerst nicht angenommen"),
    "smtp-5xx": its("hat die Nachricht abgelehnt"),
    "not-permitted": (domain) => `die Administratoren dieses Gateways erlauben keine Mail an ${domain}`,
    loop: (domain) => `die Nachricht an ${domain} wäre immer wieder zu diesem Gateway zurückgekommen`,
    "treatment-required": (domain) =>
      `was für Nachrichten an ${domain} verlangt wird (S/MIME oder DKIM), fehlt dieser Nachricht`,
    expired: its("hat die Nachricht nicht rechtzeitig angenommen"),
    bounced: () => "der Administrator dieses Gateways hat die Zustellung beendet",
    "internal-error": () => "dieses Gateway selbst hatte eine Störung",
  },
  senderName: "Mail-Zustellung",
  failure: {
    subject: (domain) => `Nicht zugestellt: Ihre Nachricht an ${domain}`,
    opening: ({ hostname, received, subject }) =>
      `Hier ist das Mail-Gateway ${hostname}. Ihre Nachricht${subject === "" ? "" : ` „${subject}“`} vom ${received} wurde an die unten genannten Empfänger nicht zugestellt. Für sie folgt kein weiterer Versuch.`,
    notReached: "Diese Empfänger wurden nicht erreicht:",
    andMore: (count) => `und ${count} weitere`,
    because: (reason) => `Der Grund: ${reason}.`,
    expired: "Es wurde wiederholt versucht, bis die Frist abgelaufen war; dies ist der letzte Grund.",
    stayedEncrypted: "Für diese Empfänger hat die Nachricht das Haus nicht unverschlüsselt verlassen.",
    mayHaveArrived: "Die Verbindung brach ganz am Ende eines Versuchs ab: Die Nachricht kann dennoch angekommen sein.",
    theySaid: "Das andere Mailsystem antwortete:",
    technical: (reason, status) => `Technischer Name des Grundes: ${reason} (Status ${status}).`,
    closing: (postmaster) => `Fragen beantwortet ${postmaster}. Der Kopf Ihrer Nachricht ist angehängt.`,
    redacted: (postmaster) =>
      `Fragen beantwortet ${postmaster}. Ihre Nachricht verlangt Schutz auf dem ganzen Weg: Deshalb wird hier nichts aus ihrem Kopf wiederholt.`,
  },
  delay: {
    subject: (domain) => `Verzögert: Ihre Nachricht an ${domain}`,
    opening: ({ hostname, received, subject }) =>
      `Hier ist das Mail-Gateway ${hostname}. Ihre Nachricht${subject === "" ? "" : ` „${subject}“`} vom ${received} wartet noch für die unten genannten Empfänger. Sie müssen nichts tun: Die Zustellung wird immer wieder versucht.`,
    notReached: "Diese Empfänger wurden noch nicht erreicht:",
    lastTry: (date) =>
      `Der letzte Versuch ist am ${date}. Sie erfahren es, sobald die Nachricht durchgeht, und auch, falls das nicht gelingt.`,
  },
  relayed: {
    subject: (domain) => `Weitergegeben: Ihre Nachricht an ${domain}`,
    opening: ({ hostname, received, subject }) =>
      `Hier ist das Mail-Gateway ${hostname}. Sie wollten wissen, was aus Ihrer Nachricht${subject === "" ? "" : ` „${subject}“`} vom ${received} wird.`,
    reached: "Für diese Empfänger wurde sie weitergegeben:",
    meaning: (host) =>
      `Das Mailsystem ${host} hat sie übernommen. Es meldet nichts weiter; dies ist also die letzte Nachricht von uns dazu.`,
  },
  arrived: {
    subject: (domain) => `Doch noch zugestellt: Ihre Nachricht an ${domain}`,
    opening: ({ hostname, received, subject }) =>
      `Hier ist das Mail-Gateway ${hostname}. Wir hatten Ihnen gemeldet, dass Ihre Nachricht${subject === "" ? "" : ` „${subject}“`} vom ${received} verzögert ist. Jetzt ist sie durchgegangen.`,
    reached: "Für diese Empfänger wurde sie ihrem Mailsystem zugestellt:",
    meaning: (host) => `Das Mailsystem ${host} hat sie übernommen.`,
  },
  copy: {
    subject: (partner) => `Mail an ${partner} wartet`,
    opening: ({ hostname, partner, received }) =>
      `Hier ist das Mail-Gateway ${hostname}. Sie betreuen den Partner ${partner}. Eine Nachricht an diesen Partner wartet seit dem ${received}.`,
    sender: (address) => `Absender: ${address}`,
    lastTry: (date) => `Die Zustellung wird immer wieder versucht, zuletzt am ${date}.`,
    remedy: (text) => `Was hilft: ${text}`,
    queueId: (id) => `Kennung der Nachricht in der Warteschlange, für Ihren Administrator: ${id}`,
  },
  alarm: {
    raised: (code, partner) => `Alarm: ${code}${partner === "" ? "" : ` (${partner})`}`,
    cleared: (code, partner) => `Vorbei: ${code}${partner === "" ? "" : ` (${partner})`}`,
    opening: (hostname) => `Hier ist das Mail-Gateway ${hostname}.`,
    since: (date) => `Seit: ${date}`,
    until: (date) => `Bis: ${date}`,
  },
  undeliverable: {
    subject: (domain) => `Eine Benachrichtigung an ${domain} war unzustellbar`,
    opening: ({ hostname, received }) =>
      `Hier ist das Mail-Gateway ${hostname}. Eine Benachrichtigung vom ${received} konnte der Person, für die sie bestimmt war, nicht zugestellt werden.`,
    closing: "Der Kopf dieser Benachrichtigung ist angehängt. Weiteres wird dazu nicht verschickt.",
  },
};
