/**
 * A look at what a message says. Only where `admin.content_access` permits it, only with a reason, and never without a
 * line in the log that says who and why, written before the first octet is shown.
 */
import type { Emit } from "../report/events.ts";
import { type QueueStore, StoreError } from "../store/queue.ts";
import type { QueueEntry } from "./queue-entry.ts";
import type { Asker } from "./who.ts";

export interface ContentAsked {
  /** Of a message or a delivery. */
  readonly id: string;
  readonly asker: Asker;
  /** Of several; the delivery's own, or the message's first, when absent. */
  readonly content?: number;
}

export type Content =
  /** Header block and body in clear. Breaks off with StoreError where it fails authentication. */
  | { readonly kind: "shown"; readonly chunks: AsyncIterable<Buffer> }
  | { readonly kind: "denied" | "missing" | "damaged" | "no-reason" };

export interface ContentDeps {
  readonly queue: Pick<QueueStore, "header" | "body">;
  readonly find: (id: string) => Promise<readonly QueueEntry[]>;
  readonly contentAccess: boolean;
  readonly emit: Emit;
}

export function createContentLook(deps: ContentDeps): (asked: ContentAsked) => Promise<Content> {
  const { queue, find, emit, contentAccess } = deps;
  return async ({ id, asker, content }) => {
    const path = `content of ${id}`;
    if (!contentAccess) {
      emit("admin.denied", { address: asker.address, path, reason: "admin.content_access is false" });
      return { kind: "denied" };
    }
    if (asker.why === undefined) return { kind: "no-reason" };
    const entries = await find(id);
    const [first] = entries;
    if (first === undefined) return { kind: "missing" };
    const number = content ?? first.content;
    if (!entries.some((entry) => entry.content === number)) return { kind: "missing" };
    emit("admin.action", { action: "queue content", ...asker, detail: `content ${number} of ${first.queueId}` });
    try {
      const header = await queue.header(first.queueId, number);
      return { kind: "shown", chunks: chunksOf(header, () => queue.body(first.queueId, number)) };
    } catch (error) {
      if (error instanceof StoreError && error.kind === "damaged") return { kind: "damaged" };
      throw error;
    }
  };
}

async function* chunksOf(header: Buffer, body: () => ReturnType<QueueStore["body"]>): AsyncGenerator<Buffer> {
  yield header;
  for await (const record of await body()) yield record as Buffer;
}
