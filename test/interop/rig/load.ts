/**
 * The load tool: many concurrent sessions that hand in messages and record what was acknowledged.
 * An id counts as acknowledged only when the 250 after DATA has been read.
 */
import { setTimeout as pause } from "node:timers/promises";
import { type Dialogue, openDialogue, pipelined, type Reply } from "./dialogue.ts";

export interface LoadMessage {
  readonly id: string;
  readonly from: string;
  readonly to: readonly string[];
  /** Whole, dot-stuffed, CRLF at its end; may be given piecewise. */
  readonly content: Buffer | AsyncIterable<Buffer> | Iterable<Buffer>;
}

export interface LoadWish {
  readonly port: () => number;
  /** 127.0.0.1 unless told. */
  readonly address?: string;
  readonly sessions: number;
  /** Messages handed in on one connection before the next is opened. */
  readonly perConnection?: number;
  readonly tls?: { readonly ca: string };
  /** The next message, or undefined when there is none left. */
  readonly next: () => LoadMessage | undefined;
  /** Goes on after a lost connection until this says so; without it a lost connection is an error. */
  readonly stopped?: () => boolean;
}

export interface LoadRecord {
  readonly acknowledged: { readonly id: string; readonly to: readonly string[] }[];
  /** First refusal of a message, as "452 4.3.1" → how often. */
  readonly refused: Map<string, number>;
  lostConnections: number;
}

/** Resolves when no session has anything left to do. `record` can be read meanwhile. */
export async function runLoad(wish: LoadWish, record: LoadRecord = newRecord()): Promise<LoadRecord> {
  await Promise.all(Array.from({ length: wish.sessions }, () => oneSession(wish, record)));
  return record;
}

export function newRecord(): LoadRecord {
  return { acknowledged: [], refused: new Map(), lostConnections: 0 };
}

async function oneSession(wish: LoadWish, record: LoadRecord): Promise<void> {
  let next = wish.next();
  while (next !== undefined && wish.stopped?.() !== true) {
    let dialogue: Dialogue | undefined;
    try {
      dialogue = await openDialogue(wish.port(), wish.address);
      await greet(dialogue, wish.tls);
      for (let i = 0; i < (wish.perConnection ?? 1_000) && next !== undefined && wish.stopped?.() !== true; i++) {
        const { code, text } = await send(dialogue, next);
        const answer = `${code} ${text.split(" ")[0]}`;
        if (code === 250) record.acknowledged.push({ id: next.id, to: next.to });
        else record.refused.set(answer, (record.refused.get(answer) ?? 0) + 1);
        next = wish.next();
      }
      await dialogue.write("QUIT\r\n");
    } catch (error) {
      if (wish.stopped === undefined) throw error;
      record.lostConnections += 1;
      next = wish.next(); // whether the one before got through is not known: it was not acknowledged
      await pause(20);
    } finally {
      dialogue?.close();
    }
  }
}

async function greet(dialogue: Dialogue, tls: LoadWish["tls"]): Promise<void> {
  expectCode(await dialogue.reply(), 220);
  expectCode((await pipelined(dialogue, ["EHLO load.own.test"]))[0], 250);
  if (tls === undefined) return;
  expectCode((await pipelined(dialogue, ["STARTTLS"]))[0], 220);
  await dialogue.startTls(tls.ca);
  expectCode((await pipelined(dialogue, ["EHLO load.own.test"]))[0], 250);
}

async function send(dialogue: Dialogue, message: LoadMessage): Promise<Reply> {
  const recipients = message.to.map((to) => `RCPT TO:<${to}>`);
  const replies = await pipelined(dialogue, [`MAIL FROM:<${message.from}>`, ...recipients, "DATA"]);
  const refused = replies.find(({ code }) => code >= 400);
  if (refused !== undefined) {
    await pipelined(dialogue, ["RSET"]);
    return refused;
  }
  if (Buffer.isBuffer(message.content)) await dialogue.write(Buffer.concat([message.content, Buffer.from(".\r\n")]));
  else {
    for await (const piece of message.content) await dialogue.write(piece);
    await dialogue.write(".\r\n");
  }
  return dialogue.reply();
}

function expectCode(reply: { code: number; text: string } | undefined, code: number): void {
  if (reply?.code !== code) throw new Error(`Expected ${code}, got ${reply?.code} ${reply?.text}`);
}

/** A small message with an id that the sink reads again. */
export function smallMessage(id: string, options: { subject?: string; body?: string; size?: number } = {}): Buffer {
  const body = options.body ?? "x".repeat(70);
  const head = `From: <load@own.test>\r\nTo: <box@partner.test>\r\nSubject: ${options.subject ?? "load"}\r\nX-Load-Id: ${id}\r\n\r\n`;
  const lines = Math.max(1, Math.ceil(((options.size ?? 0) - head.length) / (body.length + 2)));
  return Buffer.from(head + `${body}\r\n`.repeat(lines));
}
