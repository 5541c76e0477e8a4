/** The remedies in German, for mail to people; the log and the command line speak English. Closed by the type. */
import type { Reason } from "../mail/outcome.ts";

export const GERMAN_REMEDIES: Readonly<Record<Reason, string>> = {
  "starttls-not-supported":
    "Bitten Sie die Administratoren der Gegenseite, STARTTLS anzubieten; bis dahin geht nichts im Klartext hinaus.",
  "certificate-host-mismatch":
    "Bitten Sie die Gegenseite um ein Zertifikat auf den verlangten Namen, oder berichtigen Sie match nach Absprache des Namens mit ihr.",
  "certificate-expired":
    "Bitten Sie die Gegenseite, das Zertifikat zu erneuern; solange kann eine Ausnahme mit Enddatum die Stufe senken.",
  "certificate-not-trusted":
    "Bitten Sie die Gegenseite um die ganze Kette einer öffentlichen CA, oder nennen Sie deren CA unter ca.",
  "validation-failure":
    "Der Handshake brach ab: Suchen Sie nach einem Proxy oder jemandem auf dem Weg, und bitten Sie die Gegenseite um ihr Protokoll.",
  "tlsa-invalid":
    "Bitten Sie die Gegenseite, TLSA-Einträge des gezeigten Zertifikats zu veröffentlichen: Ihr DANE ist für alle Absender gestört.",
  "dnssec-invalid":
    "Bitten Sie die Gegenseite, das DNSSEC ihrer Zone in Ordnung zu bringen, und prüfen Sie, ob unser Resolver validiert.",
  "dane-required":
    "Die Richtlinie verlangt DANE, und es ist kein brauchbares veröffentlicht: Bitten Sie darum, oder wählen Sie eine andere Stufe.",
  "sts-policy-fetch-error":
    "Bitten Sie die Gegenseite, ihre MTA-STS-Richtlinie bereitzustellen, und prüfen Sie, ob HTTPS für dieses Gateway nach außen offen ist.",
  "sts-policy-invalid": "Bitten Sie die Gegenseite, ihre MTA-STS-Richtlinie zu berichtigen (RFC 8461 §3.2).",
  "sts-webpki-invalid":
    "Bitten Sie die Gegenseite um ein gültiges Zertifikat für ihren Richtlinien-Host mta-sts.DOMAIN.",
  "tls-parameters-too-weak":
    "Bitten Sie die Gegenseite um TLS 1.2 oder neuer mit Forward Secrecy; eine Ausnahme mit Enddatum kann weniger zulassen.",
  "fingerprint-mismatch":
    "Vergleichen Sie den Fingerabdruck telefonisch mit dem Partner, und tragen Sie dann den neuen neben dem alten ein.",
  "client-certificate-demanded":
    "Fragen Sie die Gegenseite, welches Client-Zertifikat sie annimmt, und nennen Sie es unter client_certificate.",
  "requiretls-not-supported":
    "Der Absender verlangt REQUIRETLS auf dem ganzen Weg, und dieser Host bietet es nicht an.",
  "mx-not-in-policy":
    "Bitten Sie die Gegenseite, diesen Host in ihrer MTA-STS-Richtlinie zu nennen oder aus ihrem MX zu nehmen.",
  "smtputf8-not-supported":
    "Die Gegenseite nimmt keine Adressen außerhalb von ASCII: Verwenden Sie die ASCII-Adresse des Empfängers.",
  "8bitmime-not-supported":
    "Die Gegenseite nimmt nur 7-Bit-Mail: Lassen Sie die Nachricht als quoted-printable senden.",
  "dns-failed":
    "Prüfen Sie den Resolver mit sealpost doctor und die Zone der Gegenseite; die Zustellung wird weiter versucht.",
  "no-such-domain": "Berichtigen Sie die Domain: Das DNS belegt, dass es den Namen nicht gibt.",
  "host-not-found":
    "Bitten Sie die Gegenseite, Adressen ihrer Mailserver zu veröffentlichen, oder berichtigen Sie next_hop.",
  "null-mx": "Nichts: Die Domain sagt, dass sie keine Mail annimmt (RFC 7505).",
  "connection-failed":
    "Prüfen Sie, ob der Port von hier aus offen ist (Firewall, Provider) und ob der Server der Gegenseite läuft.",
  "connection-lost":
    "Fragen Sie die Gegenseite, warum ihr Server die Sitzung beendet; die Zustellung wird weiter versucht.",
  "smtp-4xx": "Die Gegenseite vertröstet uns: Lesen Sie ihre Antwort; die Zustellung wird weiter versucht.",
  "smtp-5xx": "Die Gegenseite lehnt ab: Lesen Sie ihre Antwort.",
  loop: "Schreiben Sie einen next_hop für diese Domain: Ihr MX nennt dieses Gateway.",
  "not-permitted":
    "outbound.unlisted ist refuse, und keine Partnerdatei nennt das Ziel: Schreiben Sie eine, wenn Mail dorthin gehen darf.",
  "treatment-required":
    "Die Nachricht wurde gespeichert, bevor S/MIME oder DKIM verlangt war, und wird nicht neu gemacht: Lassen Sie sie noch einmal senden, und entfernen Sie diese.",
  expired: "Suchen Sie den Grund der letzten Versuche im Protokoll.",
  bounced: "Jemand hat die Zustellung mit `sealpost queue bounce` beendet.",
  "internal-error": "Sehen Sie die error-Ereignisse im Protokoll des Gateways an.",
};
