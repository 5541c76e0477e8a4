/** Notices about one message, made of plain rows, and taken apart by a reader that knows nothing of the code under test. */
import { expect } from "vitest";
import type { MessageDemands } from "../../../src/mail/demands.ts";
import type { Recipient } from "../../../src/mail/envelope.ts";
import { type Mailbox, parseMailbox } from "../../../src/mail/mailbox.ts";
import { problem } from "../../../src/mail/outcome.ts";
import type { Unreached } from "../../../src/notify/delivery-status.ts";
import type { Notice, NoticeFacts } from "../../../src/notify/notice.ts";
import { type Entity, field, fieldGroups, names, readNotice } from "./read-notice.ts";

export function mailbox(text: string): Mailbox {
  const parsed = parseMailbox(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

export function recipient(address: string, more: Partial<Recipient> = {}): Recipient {
  return { position: 0, mailbox: mailbox(address), ...more };
}

export const NO_TLS = problem("deferred", "starttls-not-supported", "mx.acme.example offers no STARTTLS");
const UNKNOWN_USER = problem("failed", "smtp-5xx", "The peer refused the recipient", {
  code: 550,
  enhancedCode: "5.1.1",
  text: "No such user here",
});

export const EXPIRED: Unreached = { recipient: recipient("bob@acme.example"), end: "expired", problem: NO_TLS };
export const REFUSED: Unreached = { recipient: recipient("eve@acme.example"), end: "failed", problem: UNKNOWN_USER };

/** What may be another in one case; the rest is laid over the facts as it is. */
export interface About {
  readonly sender?: Mailbox | null;
  readonly envid?: string;
  readonly ownNotice?: boolean;
  readonly requireTls?: boolean;
  readonly demands?: MessageDemands;
}

export function facts(changes: About & Partial<NoticeFacts> = {}): NoticeFacts {
  const { sender, envid, ownNotice, requireTls = false, demands, ...over } = changes;
  return {
    id: "0123456789abcdef0123456789abcdef",
    hostname: "relay.example.org",
    postmaster: "postmaster@example.org",
    now: Date.UTC(2026, 10, 18, 11, 6, 40),
    domain: "acme.example",
    message: {
      id: "fedcba9876543210fedcba9876543210",
      envelope: {
        reversePath: sender === undefined ? mailbox("anna@example.org") : sender,
        mail: { body: "7BIT", smtpUtf8: false, requireTls, ...(envid !== undefined && { envid }) },
        recipients: [],
      },
      size: 1000,
      receivedAt: Date.UTC(2026, 10, 17, 7, 20),
      listener: "smarthost",
      client: { address: "127.0.0.1", port: 4711, helo: "client", via: "network" },
      notice: ownNotice === true,
      contents: [{ size: 1000 }],
      ...(demands && { demands }),
    },
    header: Buffer.from("From: anna@example.org\r\nMessage-ID: <1@example.org>\r\nSubject: Lunch\r\n\r\n"),
    language: "en",
    encryptionDemanded: true,
    ...over,
  };
}

export function present(notice: Notice | undefined): Notice {
  if (notice === undefined) throw new Error("no notice");
  return notice;
}

export interface Taken {
  readonly whole: Entity;
  readonly plain: string;
  readonly html: string;
  readonly message: Pick<Entity, "fields">;
  readonly recipients: Pick<Entity, "fields">[];
  /** The header of the original; undefined where there is no such part. */
  readonly original: string | undefined;
}

export function take(notice: Notice): Taken {
  const whole = readNotice(notice);
  const [words, status, headers, ...more] = whole.parts;
  const [plain, html, ...others] = words?.parts ?? [];
  const [message, ...recipients] = fieldGroups(status?.text ?? "");
  if (!plain || !html || !status || !message || more.length + others.length > 0) throw new Error("parts");
  expect([words?.type.split(";")[0], plain.type, html.type, status.type, headers?.type]).toEqual([
    "multipart/alternative",
    "text/plain; charset=utf-8",
    "text/html; charset=utf-8",
    "message/delivery-status",
    headers && "text/rfc822-headers",
  ]);
  return { whole, plain: plain.text, html: html.text, message, recipients, original: headers?.text };
}

/** Text as people read it, its line breaks undone. */
export const flat = (text: string): string => text.replace(/\s+/g, " ");
/** The same of a page. */
export const shown = (html: string): string => flat(html.replace(/<[^>]*>/g, " ").replaceAll("&quot;", '"')).trim();

const FIELDS = [
  "Original-Recipient",
  "Final-Recipient",
  "Action",
  "Status",
  "Remote-MTA",
  "Diagnostic-Code",
  "Last-Attempt-Date",
  "Will-Retry-Until",
];
const HEADER = ["Date", "From", "To", "Subject", "Message-ID", "References", "Auto-Submitted", "Content-Language"];
const TAGS = /<\/?(?:p|ul|li)>|<\/?html[^<>]*>|<\/?body[^<>]*>|<!DOCTYPE html>/g;

/** The shape that no text of others may change. */
export function expectSound(notice: Notice, recipients: number): Taken {
  const bytes = Buffer.concat([notice.header, notice.body]).toString("latin1");
  expect(bytes).not.toMatch(/[^\x20-\x7e\r\n\t]|\r(?!\n)|[^\r]\n/);
  for (const line of bytes.split("\r\n")) expect(line.length).toBeLessThanOrEqual(998);
  const taken = take(notice);
  expect([...HEADER, "MIME-Version", "Content-Type"]).toEqual(expect.arrayContaining(names(taken.whole)));
  expect(new Set(names(taken.whole)).size).toBe(taken.whole.fields.length);
  expect(taken.recipients).toHaveLength(recipients);
  for (const group of taken.recipients) {
    expect(FIELDS).toEqual(expect.arrayContaining(names(group)));
    expect(new Set(names(group)).size).toBe(group.fields.length);
    expect(field(group, "Status")).toMatch(/^[245]\.\d{1,3}\.\d{1,3}$/);
  }
  expect(taken.html.replace(TAGS, "")).not.toMatch(/[<>]/);
  return taken;
}
