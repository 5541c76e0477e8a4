/** The bodies of one message on their way into the queue: sealed as they come, small ones kept for the first attempt. */
import type { QueueStore, SealedBody, Spool } from "./store/queue.ts";

export interface Spooled {
  readonly body: SealedBody;
  /** The whole of a small one. */
  readonly kept?: Buffer;
}

export interface Spools {
  /** Seals a body as it arrives. Rejects with StoreError, or with what `chunks` threw. */
  readonly fill: (chunks: AsyncIterable<Buffer>) => Promise<Spooled>;
  /** Leaves nothing of those that were not enqueued. Never rejects for one that left nothing already. */
  readonly discard: () => Promise<void>;
}

/** Bodies up to this size are delivered from memory the first time. */
const KEPT_BYTES = 128 * 1024;

/** `passed` is told of the octets of bodies. */
export function createSpools(
  queue: Pick<QueueStore, "openSpool">,
  messageId: string,
  passed: (bytes: number) => void,
): Spools {
  const open: Spool[] = [];
  return {
    fill: async (chunks) => {
      const spool = queue.openSpool(messageId, open.length);
      open.push(spool);
      let kept: Buffer[] | undefined = [];
      let length = 0;
      for await (const chunk of chunks) {
        length += chunk.length;
        if (length > KEPT_BYTES) kept = undefined;
        kept?.push(Buffer.from(chunk)); // the chunk's memory may be reused by its maker
        await spool.write(chunk);
        passed(chunk.length);
      }
      const body = await spool.end();
      return { body, ...(kept && { kept: Buffer.concat(kept) }) };
    },
    discard: async () => {
      await Promise.all(open.map((spool) => spool.discard()));
    },
  };
}
