/** Headers as servers and clients write them, with what they tell of the inside: names, addresses, programs, users. */
import { type CorpusMessage, head, lines, message } from "./build.ts";

const TEXT = lines("Hello Bert,", "", "Anna");
const AT = "Tue, 24 Nov 2026 10:11:12 +0100";

/** Outlook, Exchange 2019 with two hops inside, as it hands mail to its smarthost. */
export const EXCHANGE: readonly string[] = [
  "Received: from EXCH02.corp.example.org (10.20.1.12) by EXCH01.corp.example.org",
  " (10.20.1.11) with Microsoft SMTP Server (version=TLS1_2,",
  " cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id 15.2.1544.4; Tue, 24 Nov 2026",
  " 10:11:13 +0100",
  "Received: from EXCH02.corp.example.org ([fe80::a1b2:c3d4:e5f6:789%5]) by",
  " EXCH02.corp.example.org ([fe80::a1b2:c3d4:e5f6:789%5]) with mapi id",
  " 15.02.1544.004; Tue, 24 Nov 2026 10:11:12 +0100",
  "From: Anna Beispiel <anna@example.org>",
  "To: Bert Muster <bert@acme.example>",
  "Subject: Quartalszahlen",
  "Thread-Topic: Quartalszahlen",
  "Thread-Index: AdxdK2fUq0b5a1mXQv6mVq3x1aPz5Q==",
  `Date: ${AT}`,
  "Message-ID: <4f1d2e3c4b5a69788796a5b4c3d2e1f0@corp.example.org>",
  "Accept-Language: de-DE, en-US",
  "Content-Language: de-DE",
  "X-MS-Has-Attach: ",
  "X-MS-TNEF-Correlator: ",
  "x-originating-ip: [10.20.7.33]",
  "x-ms-exchange-messagesentrepresentingtype: 1",
  "x-tm-as-product-ver: SMEX-14.0.0.3197-9.0.1002-28012.005",
  "x-tm-as-result: No-10--12.345600-8.000000",
  "X-MS-Exchange-Organization-AuthAs: Internal",
  "X-MS-Exchange-Organization-AuthMechanism: 04",
  "X-MS-Exchange-Organization-AuthSource: EXCH02.corp.example.org",
  "X-MS-Exchange-Organization-Network-Message-Id: 6d4bb1a6-9d6a-4c0b-0f1e-08dc5f0a1b2c",
  "X-MS-Exchange-Transport-FromEntityHeader: Hosted",
  "X-MS-Exchange-CrossTenant-Id: 11111111-2222-3333-4444-555555555555",
  "X-MS-Exchange-CrossTenant-OriginalArrivalTime: 24 Nov 2026 09:11:12.5341 (UTC)",
  "X-ClientProxiedBy: EXCH03.corp.example.org (10.20.1.13) To",
  " EXCH02.corp.example.org (10.20.1.12)",
  "X-EXCLAIMER-MD-CONFIG: 2c86f778-e09b-4440-8b15-867914633a10",
  "X-CrossPremisesHeadersFilteredBySendConnector: EXCH01.corp.example.org",
  "X-OrganizationHeadersPreserved: EXCH01.corp.example.org",
  'Content-Type: text/plain; charset="us-ascii"',
  "Content-Transfer-Encoding: 7bit",
  "MIME-Version: 1.0",
  "Return-Path: anna@example.org",
];

/** A workstation, webmail and content filter behind a Postfix that hands mail to its smarthost. */
export const POSTFIX: readonly string[] = [
  "Return-Path: <anna@example.org>",
  "Received: from mailout.intern.example.org (mailout.intern.example.org [172.16.3.4])",
  "\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)",
  "\t key-exchange X25519 server-signature RSA-PSS (2048 bits))",
  '\t(Client CN "mailout.intern.example.org", Issuer "Example Org Internal CA" (verified OK))',
  "\tby gw1.intern.example.org (Postfix) with ESMTPS id 4XyZ12abcd",
  `\tfor <bert@acme.example>; ${AT} (CET)`,
  "Received: from localhost (localhost [127.0.0.1])",
  "\tby mailout.intern.example.org (Postfix) with ESMTP id 4XyZ11abcc",
  `\tfor <bert@acme.example>; ${AT} (CET)`,
  "X-Virus-Scanned: Debian amavisd-new at mailout.intern.example.org",
  "X-Spam-Flag: NO",
  "X-Spam-Score: -2.9",
  "X-Spam-Level: ",
  "X-Spam-Status: No, score=-2.9 required=5 tests=[ALL_TRUSTED=-1, BAYES_00=-1.9]",
  "\tautolearn=ham autolearn_force=no",
  "Authentication-Results: mailout.intern.example.org (amavisd-new);",
  "\tdkim=pass (2048-bit key) header.d=example.org",
  "Received: from mailout.intern.example.org ([127.0.0.1])",
  "\tby localhost (mailout.intern.example.org [127.0.0.1]) (amavisd-new, port 10024)",
  `\twith ESMTP id x1Y2z3A4b5C6; ${AT} (CET)`,
  "Received: from [192.168.17.45] (pc-anna.intern.example.org [192.168.17.45])",
  "\t(using TLSv1.2 with cipher ECDHE-RSA-AES128-GCM-SHA256 (128/128 bits))",
  "\t(No client certificate requested)",
  "\t(Authenticated sender: abeispiel)",
  "\tby mailout.intern.example.org (Postfix) with ESMTPSA id 4XyZ10abcb;",
  `\t${AT} (CET)`,
  "Received: by webmail.intern.example.org (Postfix, from userid 33)",
  `\tid 0A1B2C3D4E; ${AT} (CET)`,
  "To: Bert Muster <bert@acme.example>",
  "Subject: Quartalszahlen",
  "X-PHP-Originating-Script: 1000:rcube.php",
  `Date: ${AT}`,
  "From: Anna Beispiel <anna@example.org>",
  "Message-ID: <20261124101112.4711@pc-anna.intern.example.org>",
  "User-Agent: Mozilla Thunderbird",
  "X-Sender: anna@example.org",
  "MIME-Version: 1.0",
  "Content-Type: text/plain; charset=US-ASCII;",
  " format=flowed",
  "Content-Transfer-Encoding: 7bit",
];

/** One Received field each; what stands in it is of the inside. */
export const INSIDE_RECEIVED: readonly (readonly [string, readonly string[]])[] = [
  [
    "Postfix, local submission",
    ["Received: by web01.corp.example.org (Postfix, from userid 33)", `\tid 1234567890; ${AT} (CET)`],
  ],
  [
    "Postfix, unknown client",
    ["Received: from pc17 (unknown [10.1.2.3])", "\tby smtp.example.org (Postfix) with ESMTP id 1;", `\t${AT}`],
  ],
  [
    "Sendmail",
    [
      "Received: from app01.corp.example.org (app01.corp.example.org [10.5.5.5])",
      "\tby mx.example.org (8.17.1/8.17.1/Debian-2) with ESMTPS id 4AO9BCxx012345",
      "\t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NO)",
      `\tfor <bert@acme.example>; ${AT}`,
    ],
  ],
  [
    "Sendmail, local user",
    ["Received: (from root@localhost)", "\tby db7.corp.example.org (8.14.4/8.14.4/Submit) id 4AO9BCxx01;", `\t${AT}`],
  ],
  [
    "Exim",
    [
      "Received: from [10.9.8.7] (helo=laptop.lan)",
      "\tby smtp.example.org with esmtpsa (TLS1.3:ECDHE_X25519__RSA_PSS_RSAE_SHA256__AES_256_GCM:256)",
      "\t(Exim 4.96)",
      "\t(envelope-from <anna@example.org>)",
      "\tid 1tF0AB-000123-2x",
      `\tfor bert@acme.example; ${AT}`,
    ],
  ],
  [
    "Exim, local user",
    [
      "Received: from www-data by web02.example.org with local (Exim 4.96)",
      "\t(envelope-from <www-data@web02.example.org>)",
      `\tid 1tF0AB-000124-2x; ${AT}`,
    ],
  ],
  [
    "qmail, network",
    [
      "Received: from unknown (HELO pc-anna) (anna@10.4.4.4)",
      `  by mail.example.org with SMTP; 24 Nov 2026 09:11:12 -0000`,
    ],
  ],
  ["qmail, invoked", ["Received: (qmail 12345 invoked by uid 48); 24 Nov 2026 09:11:12 -0000"]],
  ["qmail, from network", ["Received: (qmail 12345 invoked from network); 24 Nov 2026 09:11:12 -0000"]],
  [
    "Lotus Notes",
    [
      "Received: from notes01.corp ([192.168.5.6])",
      "          by domino.example.org (HCL Domino Release 12.0.2FP1)",
      "          with ESMTP id 2026112410111200-123456 ;",
      `          ${AT} `,
    ],
  ],
  ["GroupWise", ["Received: from GWDOM-MTA by gw.example.org", `\twith Novell_GroupWise; ${AT}`]],
  [
    "Exchange, MAPI",
    [
      "Received: from EX1.ad.example.org ([fe80::1]) by EX1.ad.example.org",
      " ([fe80::1%14]) with mapi id 15.01.2507.039; Tue, 24 Nov 2026 10:11:12 +0100",
    ],
  ],
  [
    "Exchange 2003",
    ["Received: from SRV1 ([10.0.0.5]) by mail.example.org with Microsoft SMTPSVC(6.0.3790.4675);", `\t ${AT}`],
  ],
  ["IBM i", ["Received: from AS400.CORP.EXAMPLE.ORG by AS400.CORP.EXAMPLE.ORG (IBM i SMTP)", `\twith SMTP; ${AT}`]],
  [
    "Kerio",
    [
      "X-Footer: none",
      "Received: from [172.20.1.1] ([172.20.1.1])",
      "\t(authenticated user anna@example.org)",
      "\tby kerio.example.org (Kerio Connect 10.0.1)",
      `\tfor bert@acme.example; ${AT}`,
    ],
  ],
  [
    "Zimbra",
    [
      "Received: from zimbra.example.org (LHLO zimbra.example.org) (10.11.12.13) by",
      ` zimbra.example.org with LMTP; ${AT} (CET)`,
    ],
  ],
  [
    "Dovecot LMTP",
    [
      "Received: from director.local",
      "\tby backend3.local with LMTP",
      "\tid 2J6cLgAAABC (envelope-from <anna@example.org>)",
      `\tfor <bert@acme.example>; ${AT}`,
    ],
  ],
  [
    "CommuniGate Pro",
    [
      "Received: from [198.51.100.9] (account anna@example.org HELO laptop002.lan)",
      "  by cg.example.org (CommuniGate Pro SMTP 7.1.1)",
      `  with ESMTPSA id 106055718 for bert@acme.example; ${AT}`,
    ],
  ],
  [
    "MDaemon",
    [
      "Received: from [IPv6:fd00:73d:4f22::72cb] by example.org",
      "\t(IPv6:fd00:1f07:f77::c2a5) (MDaemon PRO v21.5.0) ",
      `\twith ESMTPSA id md5001003028602.msg; ${AT}`,
    ],
  ],
  [
    "Haraka",
    [
      "Received: from unknown (HELO unknown) (::1)",
      `        by mail.third.example (Haraka/2.8.28) with ESMTPSA; ${AT}`,
    ],
  ],
  [
    "HELO in quotes",
    [
      'Received: from mail.third.example ([198.51.100.9]:59394 "EHLO exch01.corp.example.org"',
      "        rhost-flags-OK-OK-OK-FAIL) by lists.third.example with ESMTP",
      `        id S1725990; ${AT}`,
    ],
  ],
  [
    "copier",
    ["Received: from KM1A2B3C.lan ([192.168.99.7]) by smtp.example.org", `          with KONICA MINOLTA bizhub; ${AT}`],
  ],
  [
    "Docker",
    [
      "Received: from 3f2a1b4c5d6e (app.frontend_default [172.18.0.5])",
      "\tby relay (Postfix) with ESMTP id 1;",
      `\t${AT} (UTC)`,
    ],
  ],
  [
    "IPv6 unique local",
    ["Received: from host6 ([IPv6:fd12:3456:789a::10])", `\tby smtp.example.org (Postfix) with ESMTP id 1; ${AT}`],
  ],
  [
    "IPv4 in IPv6",
    ["Received: from pc9 (unknown [IPv6:::ffff:10.7.7.7])", `\tby smtp.example.org (Postfix) with ESMTP id 1; ${AT}`],
  ],
  [
    "carrier NAT",
    ["Received: from vpn-client (unknown [100.64.3.2])", `\tby vpn.example.org (Postfix) with ESMTP id 1; ${AT}`],
  ],
  [
    "loopback, IPv6",
    ["Received: from localhost (localhost [IPv6:::1])", `\tby smtp.example.org (Postfix) with ESMTP id 1; ${AT}`],
  ],
  ["home.arpa", ["Received: from nas.home.arpa (nas.home.arpa [203.0.113.5])", `\tby host.internal with ESMTP; ${AT}`]],
  [
    "all on one line",
    [
      `Received: from a.corp.example.org ([10.1.1.1]) by b.corp.example.org with ESMTP id 1 for <bert@acme.example>; ${AT}`,
    ],
  ],
  [
    "folded at every word",
    [
      "Received:",
      "\tfrom",
      "\tpc1.corp.example.org",
      "\t(pc1.corp.example.org",
      "\t[10.1.1.1])",
      "\tby",
      "\tgw.corp.example.org",
      "\twith",
      "\tESMTP",
      "\tid",
      "\t1;",
      "\tTue,",
      "\t24",
      "\tNov",
      "\t2026",
      "\t10:11:12",
      "\t+0100",
    ],
  ],
  ["odd case", [`RECEIVED: FROM PC1.CORP.EXAMPLE.ORG ([10.1.1.1]) BY GW.CORP.EXAMPLE.ORG WITH ESMTP; ${AT}`]],
  ["blank before the colon", [`Received : from pc1 ([10.1.1.1]) by gw with ESMTP; ${AT}`]],
];

/** One Received field each, of servers that are not ours. */
export const OUTSIDE_RECEIVED: readonly (readonly [string, readonly string[]])[] = [
  [
    "Postfix",
    [
      "Received: from mail.third.example (mail.third.example [192.0.2.25])",
      "\tby mx.provider.example (Postfix) with ESMTPS id 4XX",
      `\tfor <list@provider.example>; ${AT}`,
    ],
  ],
  [
    "Google",
    [
      "Received: by 2002:a05:6402:3588:b0:5cf:1234:5678 with SMTP id y8csp123456edc;",
      "        Tue, 24 Nov 2026 01:11:12 -0800 (PST)",
    ],
  ],
  [
    "Google, from a host",
    [
      "Received: from mail-ed1-f45.google.com (mail-ed1-f45.google.com. [209.85.208.45])",
      "        by mx.google.com with ESMTPS id 4fb4d7f45d1cf-x",
      "        (version=TLS1_3 cipher=TLS_AES_256_GCM_SHA384 bits=256/256);",
      "        Tue, 24 Nov 2026 01:11:12 -0800 (PST)",
    ],
  ],
  [
    "Microsoft 365",
    [
      "Received: from FR0P281MB1234.DEUP281.PROD.OUTLOOK.COM (2603:10a6:d10:52::5) by",
      " BEZP281MB5678.DEUP281.PROD.OUTLOOK.COM (2603:10a6:b10:70::9) with Microsoft",
      " SMTP Server (version=TLS1_3, cipher=TLS_AES_256_GCM_SHA384) id 15.20.9343.17; Tue, 24",
      " Nov 2026 09:11:12 +0000",
    ],
  ],
  [
    "Exim",
    [
      "Received: from [198.51.100.7] (helo=home.third.example)",
      `\tby mail.third.example with esmtpsa (Exim 4.96) id 1x; ${AT}`,
    ],
  ],
  [
    "HELO in quotes",
    [
      'Received: from mail.third.example ([198.51.100.9]:59394 "EHLO mail.third.example"',
      "        rhost-flags-OK-OK-OK-FAIL) by lists.third.example with ESMTP",
      `        id S1725990 (ORCPT <rfc822;list@lists.third.example>); ${AT}`,
    ],
  ],
];

const senders: readonly (readonly [string, readonly string[]])[] = [
  [
    "Thunderbird",
    [
      "User-Agent: Mozilla Thunderbird",
      "Content-Language: de-DE",
      "X-Mozilla-Status: 0001",
      "X-Mozilla-Status2: 00000000",
      "X-Identity-Key: id1",
      "X-Account-Key: account1",
      "X-Mozilla-Draft-Info: internal/draft; vcard=0",
    ],
  ],
  [
    "Outlook",
    [
      "X-Mailer: Microsoft Outlook 16.0",
      "Thread-Index: AQHZ1234567890abcdef==",
      "X-MimeOLE: Produced By Microsoft MimeOLE V16.4.3505.912",
      "Importance: high",
      "X-Priority: 1",
    ],
  ],
  [
    "Apple Mail",
    [
      "X-Mailer: Apple Mail (2.3826.200.121)",
      "X-Universally-Unique-Identifier: 12345678-1234-1234-1234-123456789012",
      "X-Apple-Auto-Saved: 1",
    ],
  ],
  [
    "Lotus Notes",
    [
      "X-Mailer: HCL Notes Release 12.0.2 November 11, 2022",
      "X-MIMETrack: Serialize by Router on NOTES01/CORP/Example(Release 12.0.2) at",
      " 24.11.2026 10:11:12",
      "X-KeepSent: 12345678:9ABCDEF0-C1258A01:00000000",
      "X-TNEFEvaluated: 1",
    ],
  ],
  [
    "PHP script",
    [
      "X-PHP-Originating-Script: 33:mailer.php",
      "X-PHP-Script: www.example.org/kontakt.php for 10.3.3.3",
      "X-Mailer: PHPMailer 6.9.1",
    ],
  ],
  [
    "Horde",
    [
      "User-Agent: Horde Application Framework 5",
      "X-Originating-IP: 10.4.5.6",
      "X-Originating-User-Agent: Mozilla/5.0",
      "X-Remote-Browser: Mozilla/5.0",
    ],
  ],
  [
    "webmail of a provider",
    [
      "X-Originating-IP: [192.168.178.20]",
      "X-Originating-Email: [anna@example.org]",
      "X-Originating-Host: pc-anna",
      "X-Authenticated-Sender: anna@example.org",
      "X-Authenticated-IP: 192.168.178.20",
    ],
  ],
  [
    "rspamd",
    [
      "X-Rspamd-Server: mail03",
      "X-Rspamd-Queue-Id: 4XyZ",
      "X-Spamd-Result: default: False [-0.10 / 15.00]",
      "X-Rspamd-Action: no action",
      "X-Spamd-Bar: /",
    ],
  ],
  ["Sophos", ["X-Sophos-SMTP-Auth: anna", "X-PureMessage: [Scanned]", "X-SASI-RCODE: 200", "X-Sophos-IBS: success"]],
  [
    "Barracuda",
    [
      "X-Barracuda-Connect: EXCH01.corp.example.org[10.20.1.11]",
      "X-Barracuda-Start-Time: 1764000000",
      "X-Barracuda-URL: https://barracuda.corp.example.org:443/cgi-mod/mark.cgi",
      "X-ASG-Debug-ID: 1764000000-123",
      "X-ASG-Orig-Subj: Quartalszahlen",
    ],
  ],
  [
    "Proofpoint and Mimecast",
    [
      "X-Proofpoint-Virus-Version: vendor=baseguard",
      "X-Proofpoint-GUID: abc",
      "X-MC-Unique: abc-1",
      "X-Mimecast-Originator: example.org",
    ],
  ],
  [
    "MailScanner",
    [
      "X-example-org-MailScanner-ID: 1ABC",
      "X-MailScanner-Information: see corp.example.org",
      "X-MailScanner-From: anna@example.org",
    ],
  ],
  ["IronPort", ['X-IronPort-AV: E=Sophos;i="6.1"', "X-IronPort-Anti-Spam-Filtered: true", "IronPort-SDR: abc"]],
  ["FortiMail", ["X-FEAS-Client-IP: 10.6.6.6", "X-FE-Policy-ID: 1:2:3:SYSTEM", "X-FEAS-Auth-User: anna@example.org"]],
  [
    "delivered before",
    [
      "Delivered-To: anna@example.org",
      "X-Original-To: anna@example.org",
      "Envelope-To: anna@example.org",
      "Return-Path: <anna@example.org>",
    ],
  ],
  [
    "list",
    [
      "List-Id: News <news.example.org>",
      "List-Unsubscribe: <https://example.org/u>, <mailto:u@example.org>",
      "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
      "List-Archive: <https://lists.example.org/news>",
      "Precedence: list",
      "Sender: news-bounces@example.org",
      "Errors-To: news-bounces@example.org",
      "X-Mailman-Version: 3.3.8",
      "X-BeenThere: news@example.org",
    ],
  ],
  [
    "blind copies that were not removed",
    ["Bcc: secret@third.example, Carla <carla@example.org>", "Resent-Bcc: other@third.example"],
  ],
  [
    "resent",
    [
      "Resent-From: carla@example.org",
      "Resent-To: bert@acme.example",
      `Resent-Date: ${AT}`,
      "Resent-Message-ID: <r1@pc-carla.corp.example.org>",
    ],
  ],
  [
    "ticket system",
    [
      "X-RT-Loop-Prevention: example.org",
      "RT-Ticket: example.org #123",
      "X-RT-Originator: anna@example.org",
      "X-Managed-by: RT 5.0",
      "Precedence: bulk",
    ],
  ],
  ["cron", ["X-Cron-Env: <SHELL=/bin/sh>", "X-Cron-Env: <HOME=/root>", "X-Cron-Env: <LOGNAME=root>"]],
  [
    "classified",
    [
      "Sensitivity: Company-Confidential",
      "Importance: high",
      "Priority: urgent",
      "X-Priority: 1 (Highest)",
      "Keywords: secret",
      "Expires: Wed, 25 Nov 2026 10:00:00 +0100",
      "TLS-Required: No",
    ],
  ],
];

export const traceMessages: readonly CorpusMessage[] = [
  message("Exchange inside", EXCHANGE, TEXT),
  message("Postfix, Amavis and webmail inside", POSTFIX, TEXT),
  ...INSIDE_RECEIVED.map(([name, field]) => message(`inside: ${name}`, [...field, ...head(`inside ${name}`)], TEXT)),
  ...OUTSIDE_RECEIVED.map(([name, field]) => message(`outside: ${name}`, [...field, ...head(`outside ${name}`)], TEXT)),
  ...senders.map(([name, fields]) => message(`sent by: ${name}`, [...head(`by ${name}`), ...fields], TEXT)),
  message(
    "a long way",
    [...INSIDE_RECEIVED, ...OUTSIDE_RECEIVED].flatMap(([, field]) => field).concat(head("a long way")),
    TEXT,
  ),
];
