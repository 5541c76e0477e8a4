/**
 * Header fields that tell of the inside: which programs, servers, networks, users and tenants are behind a message. The
 * default of `remove`. Lower case; a trailing `*` stands for any rest. Fields that recipients or their programs need are
 * not in here, whatever they tell; the reasons stand at the end.
 */

/** Removed only where they speak of a host of ours (own-side.ts): those of others are their own business. */
export const ONLY_OF_OWN_HOSTS: ReadonlySet<string> = new Set(["authentication-results", "received-spf"]);

const GROUPS: readonly string[] = [
  // Whose computer: addresses and logins that webmail, groupware and submission servers write.
  "x-originating-* x-sender-ip x-sender-host x-sender-id x-source* x-client-ip x-clientip x-real-ip x-forwarded-*",
  "x-remote-* x-sender x-xsender x-authenticated-* x-auth-* x-authuser x-authentication-warning x-submitter",
  "x-get-message-sender-via x-local-domain x-ip x-user-* x-uid x-uidl x-identity-key x-account-key",
  // Which program, and which version of it.
  "user-agent x-mailer x-mimeole x-newsreader x-pgp-agent x-enigmail-* x-mailer-* x-library x-mozilla-* x-apple-*",
  "x-universally-unique-identifier x-uniform-type-identifier x-outlook-* x-mailreader x-generator x-webmail-*",
  "x-roundcube-* x-squirrel-* x-horde-* x-zimbra-*",
  // Which script of which user on which web server (PHP's mail.add_x_header, cPanel, cron).
  "x-php-* x-script-* x-cron-env x-antiabuse x-exim-* x-http-* x-powered-by",
  // Exchange and Microsoft 365: servers, transport, tenant, verdicts. Its own header firewall removes the first two.
  "x-ms-exchange-organization-* x-ms-exchange-forest-* x-ms-exchange-crosstenant-* x-ms-exchange-crosspremises-*",
  "x-ms-exchange-transport-* x-ms-exchange-antispam-* x-ms-exchange-eopdirect x-ms-exchange-atpmessageproperties",
  "x-ms-exchange-safe* x-ms-exchange-slblob-* x-ms-exchange-skiplisted* x-ms-exchange-messagesentrepresentingtype",
  "x-ms-exchange-purlcount x-ms-exchange-parent-message-id x-ms-exchange-authentication-results",
  "x-ms-exchange-imapappendstamp x-ms-publictraffictype x-ms-traffictypediagnostic x-ms-office365-* x-ms-oob-*",
  "x-ms-userprincipalname x-microsoft-antispam* x-microsoft-exchange-* x-forefront-* x-eop* x-sid-* x-originatororg",
  "x-clientproxiedby x-crosspremisesheaders* x-organizationheaderspreserved x-exchange-antispam-*",
  "x-incomingtopheadermarker x-incomingheadercount x-originalarrivaltime x-ms-atpmessageproperties x-hmailserver-*",
  "x-assp-* x-mdaemon-* x-mdav-* x-mdorig* x-mdarrival-date x-mdremoteip x-mdhelo x-kerio-* x-exclaimer-*",
  // Notes, GroupWise and other groupware: servers and databases.
  "x-mimetrack x-notes-* x-keepsent x-tnefevaluated x-disclaimed x-groupwise-* x-mimectl",
  // Spam and virus filters: their host, version, rules and verdicts on our own mail.
  "x-virus-* x-spam* x-rspamd-* x-amavis-* x-quarantine-* x-mailscanner* x-dspam-* x-bogosity x-dcc-* x-pyzor-*",
  "x-razor-* x-greylist* x-crm114-* x-sanitizer x-mimedefang* x-scanned-* x-sophos* x-puremessage* x-pmwin-*",
  "x-sasi-* x-pmx-* x-barracuda-* x-asg-* x-proofpoint-* x-authority-* x-mc-* x-mimecast-* x-ironport-* ironport-*",
  "x-amp-* x-fe-* x-feas-* x-fortimail* x-tm-* x-tmase-* x-trend* x-imss-* x-kse-* x-klms-* x-kaspersky* x-eset-*",
  "x-esetid x-esetresult x-bitdefender-* x-mcafee-* x-nai-* x-symantec-* x-brightmail-* x-messagelabs-* x-msg-ref",
  "x-viruschecked x-env-sender x-starscan-* x-fireeye* x-cisco-* x-nospamproxy-* x-expurgate-* x-purgate* x-gbudb-*",
  "x-hornetsecurity-* x-antispameurope-* x-retarus-* x-vade* x-vr-* x-ppe-* x-avast-* x-avg-* x-cloudmark-*",
  "x-cmae-* x-content-scanned* x-disclaimer-* x-filter-* x-policyd-* authentication-results",
  "authentication-results-original received-spf x-spf-* x-dkim* x-dmarc-*",
  // Delivery inside: which mailbox it went through (RFC 9228; X- forms of Postfix, Exim and others).
  "delivered-to x-delivered-to x-original-to x-envelope-* envelope-to x-rcpt-to x-orig-* x-resolved-to x-forward",
  "x-postfix-* x-queue-id x-mx-*",
  // Not a field of mail under way (RFC 5321 §4.4).
  "return-path x-return-path x-mdreturn-path",
];

/** What must never leave its sender (RFC 5322 §3.6.3): not even where a policy keeps all, or a signature covers it. */
export const BLIND: ReadonlySet<string> = new Set(["bcc", "resent-bcc"]);

/*
 * What stays, and why.
 * Thread-Index, Thread-Topic: a time and random octets, by which Outlook tells threads. X-MS-Has-Attach,
 *   X-MS-TNEF-Correlator: how Outlook reads winmail.dat. X-MS-Exchange-Inbox-Rules-Loop and
 *   X-MS-Exchange-Generated-Message-Source: without them rules of two mailboxes forward for ever.
 * X-MS-Exchange-SenderADCheck: says "1", and the DKIM signatures of Microsoft 365 cover it.
 * Importance, Priority, X-Priority, X-MSMail-Priority, Sensitivity, Keywords, Expires: said to the recipient.
 * X-Loop: without it robots answer each other. X-Complaints-To, X-Report-Abuse: addresses to be used.
 * Auto-Submitted, Precedence, X-Auto-Response-Suppress: keep automatic answers away.
 * List-*, Errors-To, Sender, Reply-To, Disposition-Notification-To: addresses to be used.
 * DKIM-Signature and ARC-* of others: not ours to touch. Autocrypt, OpenPGP: keys of the sender.
 * Content-*, Accept-Language, MIME-Version: how to read it and answer it. (Apple Mail names itself in a comment there.)
 */
export const DEFAULT_REMOVE: readonly string[] = GROUPS.flatMap((names) => names.split(" "));

/** A test for names in lower case. */
export function removes(patterns: readonly string[]): (name: string) => boolean {
  const exact = new Set(patterns.filter((pattern) => !pattern.endsWith("*")));
  const prefixes = patterns.filter((pattern) => pattern.endsWith("*")).map((pattern) => pattern.slice(0, -1));
  return (name) => name !== "" && (exact.has(name) || prefixes.some((prefix) => name.startsWith(prefix)));
}
