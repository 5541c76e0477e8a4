/**
 * Every kind of notice, in both languages, from a whole gateway into the Maildir of a real Postfix, read there by
 * Python's email package.
 */
import { readFileSync } from "node:fs";
import { afterEach, expect, it } from "vitest";
import { type MxOptions, startMx } from "../peers/mx-server.ts";
import { SmtpClient } from "../peers/smtp-client.ts";
import { createAuthority, type Credential } from "./rig/certificates.ts";
import { createSite, type Gateway, type Tree } from "./rig/gateway.ts";
import { asMx, type Postfix, startPostfix } from "./rig/postfix.ts";
import { eventually, freePort } from "./rig/processes.ts";
import { type ReadMail, readMail } from "./rig/read-mail.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
afterEach(bench.clear);

const HOME = "127.0.0.71";
const MINUTE = 60_000;

interface Words {
  readonly delay: string;
  readonly gone: string;
  readonly late: string;
  readonly after: string;
  readonly relayed: string;
  readonly copy: string;
  readonly lost: string;
  readonly alarm: string;
  readonly because: string;
  readonly stayed: string;
  readonly helps: string;
}

const GERMAN: Words = {
  delay: "Verzögert: Ihre Nachricht an slow.test",
  gone: "Nicht zugestellt: Ihre Nachricht an gone.test",
  late: "Nicht zugestellt: Ihre Nachricht an late.test",
  after: "Doch noch zugestellt: Ihre Nachricht an slow.test",
  relayed: "Weitergegeben: Ihre Nachricht an told.test",
  copy: "Mail an Slow & Söhne wartet",
  lost: "Eine Benachrichtigung an away.test war unzustellbar",
  alarm: "Alarm: mail-waiting (Slow & Söhne)",
  because: "Der Grund: das Mailsystem von slow.test bietet zurzeit keine Verschlüsselung an.",
  stayed: "hat die Nachricht das Haus nicht unverschlüsselt verlassen.",
  helps: "Was hilft: Bitten Sie die Administratoren der Gegenseite",
};

const ENGLISH: Words = {
  delay: "Delayed: your message to slow.test",
  gone: "Not delivered: your message to gone.test",
  late: "Not delivered: your message to late.test",
  after: "Delivered after all: your message to slow.test",
  relayed: "Passed on: your message to told.test",
  copy: "Mail to Slow & Söhne is waiting",
  lost: "A notice to away.test could not be delivered",
  alarm: "Alarm: mail-waiting (Slow & Söhne)",
  because: "The reason: the mail system of slow.test offers no encryption at present.",
  stayed: "the message has not left the house unencrypted.",
  helps: "What helps: Ask the administrators of the other side",
};

it.each([
  ["German", "de", GERMAN],
  ["English", "en", ENGLISH],
] as const)("%s notices of every kind lie in a Postfix mailbox as they are meant", async (_, language, words) => {
  const { gateway, home, slow } = await house(language);
  await hand(gateway, { to: "waits@slow.test", mail: "ENVID=QQ+2B314159", rcpt: "ORCPT=rfc822;Waits@Slow.test" });
  await hand(gateway, { to: "nobody@gone.test" });
  await hand(gateway, { to: "late@late.test" });
  await hand(gateway, { to: "told@told.test", rcpt: "NOTIFY=SUCCESS,FAILURE" });
  await hand(gateway, { from: "otto@away.test", to: "nobody@gone.test" });
  const of = (subject: string): Promise<ReadMail> => found(home, subject, gateway);

  const delay = await of(words.delay);
  expectReport(delay, { to: "anna@own.test", language });
  expect(delay.status).toEqual([
    {
      "Reporting-MTA": "dns; relay.own.test",
      "Original-Envelope-Id": "QQ+314159",
      "Arrival-Date": expect.stringMatching(DATE),
    },
    {
      "Original-Recipient": "rfc822; Waits@Slow.test",
      "Final-Recipient": "rfc822; waits@slow.test",
      Action: "delayed",
      Status: "4.7.5",
      "Diagnostic-Code": expect.stringMatching(/^x-sealpost; starttls-not-supported: /),
      "Will-Retry-Until": expect.stringMatching(DATE),
    },
  ]);
  expect(delay.original).toMatchObject({ Subject: "Zahlen für März", "Message-ID": "<1@own.test>" });
  for (const text of textsOf(delay))
    for (const said of [words.because, words.stayed, "Zahlen für März", "waits@slow.test"])
      expect(text).toContain(said);

  const copy = await of(words.copy);
  expectReport(copy, { to: "olga@own.test", language });
  expect(copy.original).toBeUndefined();
  for (const text of textsOf(copy)) {
    for (const said of [words.because, words.helps, "anna@own.test", "Slow & Söhne"]) expect(text).toContain(said);
    expect(text).not.toContain("Zahlen");
  }

  slow.change(slow.mended);
  const after = await of(words.after);
  expectReport(after, { to: "anna@own.test", language });
  expect(after.status[1]).toMatchObject({ Action: "relayed", Status: "2.0.0", "Remote-MTA": "dns; 127.0.0.1" });

  const gone = await of(words.gone);
  expectReport(gone, { to: "anna@own.test", language });
  expect(gone.status[1]).toMatchObject({
    Action: "failed",
    Status: "5.1.1",
    "Remote-MTA": "dns; 127.0.0.1",
    "Diagnostic-Code": "smtp; 550 5.1.1 No such person",
    "Last-Attempt-Date": expect.stringMatching(DATE),
  });
  for (const text of textsOf(gone)) expect(text).toContain("550 5.1.1 No such person");

  const late = await of(words.late);
  expectReport(late, { to: "anna@own.test", language });
  expect(late.status[1]).toMatchObject({ Action: "failed", Status: "5.4.7" });

  const relayed = await of(words.relayed);
  expectReport(relayed, { to: "anna@own.test", language });
  expect(relayed.status[1]).toMatchObject({ Action: "relayed", Status: "2.0.0" });

  const lost = await of(words.lost);
  expectReport(lost, { to: "postmaster@own.test", language });
  expect(lost.status[1]).toMatchObject({ "Final-Recipient": "rfc822; otto@away.test", Status: "5.1.1" });
  // Otto is a stranger: what was meant for him speaks English.
  expect(lost.original).toMatchObject({ Subject: ENGLISH.gone });

  const alarm = await of(words.alarm);
  expect(alarm.defects).toEqual([]);
  expect(alarm.types).toEqual(["text/plain"]);
  expect(alarm.header).toMatchObject({
    "Return-Path": "<>",
    To: "olga@own.test",
    "Auto-Submitted": "auto-generated",
    "Content-Language": language,
  });
});

const DATE = /^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} \+0000$/;

function expectReport({ header, types, original, defects, plain }: ReadMail, of: { to: string; language: string }) {
  expect(defects).toEqual([]);
  expect(types).toEqual([
    "multipart/report",
    "multipart/alternative",
    "text/plain",
    "text/html",
    "message/delivery-status",
    ...(original === undefined ? [] : ["text/rfc822-headers"]),
  ]);
  expect(header).toMatchObject({
    "Return-Path": "<>",
    "X-Original-To": of.to,
    To: of.to,
    "Auto-Submitted": "auto-replied",
    "Content-Language": of.language,
    "Content-Type": expect.stringMatching(/^multipart\/report; report-type="?delivery-status"?;/),
  });
  expect(header["From"]).toMatch(/<MAILER-DAEMON@relay\.own\.test>$/);
  for (const line of plain.split("\n")) expect(line.length).toBeLessThanOrEqual(80);
}

/** As people read it, from each of the two. */
function textsOf({ plain, html }: ReadMail): readonly string[] {
  const shown = html
    .replace(/<[^>]*>/g, " ")
    .replaceAll("&amp;", "&")
    .replaceAll("&quot;", '"');
  return [plain, shown].map((text) => text.replace(/\s+/g, " "));
}

async function found(home: Postfix, subject: string, gateway: Gateway): Promise<ReadMail> {
  return eventually(
    subject,
    async () => (await readMail(await home.mailbox())).find(({ header }) => header["Subject"] === subject),
    { within: MINUTE, every: 200, seen: () => gateway.log.map((line) => JSON.stringify(line)).join("\n") },
  );
}

async function house(language: "de" | "en") {
  const authority = await createAuthority(await bench.folder("ca"));
  const good = theirs(await authority.issue(["mx.partner.test"]));
  const port = await freePort(HOME);
  const home = await startPostfix(bench, { name: "home", address: HOME, port, parameters: asMx(["own.test"]) });
  const site = await createSite(bench, {
    domains: [{ domain: ["own.test"], next_hop: `[${HOME}]:${port}`, language }],
    queue: { retry: ["500ms"], delay_notices: ["1s"], idle_connection: "100ms" },
    alarms: { mail: true, waiting: "1s" },
  });
  const partner = async (id: string, options: MxOptions, outbound: Tree = {}) => {
    const mx = await startMx(options);
    bench.atEnd(mx.close);
    const way = { next_hop: `[127.0.0.1]:${mx.port}`, tls: { level: "encrypt" }, ...outbound };
    const name = id === "slow" ? "Slow & Söhne" : id;
    await site.partner(id, { name, domains: [`${id}.test`], owner: "olga@own.test", outbound: way });
    return mx;
  };
  const refusing = (address: string): MxOptions => ({ ...good, recipients: { [address]: "550 5.1.1 No such person" } });
  const slow = await partner("slow", {});
  await partner("gone", refusing("nobody@gone.test"));
  await partner("late", {}, { lifetime: "1s" });
  await partner("told", { ...good, extensions: ["PIPELINING", "8BITMIME", "SIZE 52428800"] });
  await partner("away", refusing("otto@away.test"));
  return { home, gateway: await site.start(), slow: { change: slow.change, mended: good } };
}

function theirs({ certificate, key }: Credential): MxOptions {
  return { tls: { certificate: readFileSync(certificate, "utf8"), key: readFileSync(key, "utf8") } };
}

interface Handed {
  readonly from?: string;
  readonly to: string;
  readonly mail?: string;
  readonly rcpt?: string;
}

async function hand(gateway: Gateway, { from = "anna@own.test", to, mail = "", rcpt = "" }: Handed): Promise<void> {
  const client = await SmtpClient.greeted({ port: gateway.port() });
  await client.ask(`MAIL FROM:<${from}> ${mail}`.trim(), 250);
  await client.ask(`RCPT TO:<${to}> ${rcpt}`.trim(), 250);
  await client.ask("DATA", 354);
  await client.send(MESSAGE);
  await client.ask(".", 250);
  client.close();
}

const MESSAGE = [
  "From: Anna <anna@own.test>",
  "Subject: =?utf-8?Q?Zahlen_f=C3=BCr_M=C3=A4rz?=",
  "Message-ID: <1@own.test>",
  "",
  "Hello",
  "",
].join("\r\n");
