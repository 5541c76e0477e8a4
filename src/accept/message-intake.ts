/**
 * One message from 354 to its reply. The body is read only as fast as `receive` takes it; after a refusal the rest is
 * read and thrown away, so that the client hears why. A message that did not end with CRLF.CRLF is never accepted.
 */
import type { Readable } from "node:stream";
import { reply, type SmtpReply } from "../mail/smtp-reply.ts";
import type { Transaction } from "../mail/transaction.ts";
import { ContentRefused } from "./content-refused.ts";
import { readContent, tooBig } from "./content.ts";

export interface Intake {
  readonly messageSize: number;
  readonly normalizeBareLf: boolean;
  /** Judges the header; a reply refuses the message before its body is read. */
  readonly begin: (header: Buffer) => Omit<Transaction, "header" | "body"> | SmtpReply;
  readonly receive: (transaction: Transaction) => Promise<SmtpReply>;
  /** A defect, ours or of `receive`: the message gets 451. */
  readonly onDefect: (error: unknown) => void;
}

/** `gone`: nobody is left to answer. `closing`: answer, then end the session. */
export type Ended = { readonly kind: "gone" } | { readonly kind: "reply" | "closing"; readonly reply: SmtpReply };

export async function takeMessage(stream: Readable, intake: Intake): Promise<Ended> {
  const ended = await take(stream, intake);
  if (ended.kind === "gone") return ended;
  switch (await drain(stream, intake.messageSize)) {
    case "gone":
      return { kind: "gone" };
    case "ended":
      return ended;
    case "endless":
      return { kind: "closing", reply: ended.reply.code < 400 ? tooBig(intake.messageSize).reply : ended.reply };
  }
}

const answered = (reply: SmtpReply): Ended => ({ kind: "reply", reply });

async function take(stream: Readable, intake: Intake): Promise<Ended> {
  try {
    const source: AsyncIterable<Buffer> = stream.iterator({ destroyOnReturn: false });
    const content = await readContent(source, intake);
    const begun = intake.begin(content.header);
    if ("enhancedCode" in begun) return answered(begun);
    const { header, body } = content;
    const answer = await intake.receive({ ...begun, header, body });
    if (answer.code >= 400 || content.isComplete()) return answered(answer);
    intake.onDefect(new Error("A message was accepted before its body had been read"));
    return answered(reply(451, "3.0", "The message could not be taken now, try again later"));
  } catch (error) {
    if (error instanceof ContentRefused) return { kind: error.endsSession ? "closing" : "reply", reply: error.reply };
    if (stream.destroyed && !stream.readableEnded) return { kind: "gone" };
    intake.onDefect(error);
    return answered(reply(451, "3.0", "The message could not be taken now, try again later"));
  }
}

/** Reads what the client still sends of a message that is already decided, as much as one more message. */
async function drain(stream: Readable, most: number): Promise<"ended" | "gone" | "endless"> {
  let drained = 0;
  try {
    if (stream.readableEnded) return "ended";
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      drained += (chunk as Buffer).length;
      if (drained > most) return "endless";
    }
    return "ended";
  } catch {
    return "gone";
  }
}
