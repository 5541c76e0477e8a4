/** An engine of the queue as the contracts see it, and a store of it for each of their tests. */
import { afterEach, beforeEach } from "vitest";
import type { QueueStore } from "../../src/store/queue.ts";

export interface EngineUnderTest {
  readonly name: string;
  /** An empty store; each `open` opens it as a newly started gateway would. */
  readonly create: () => Promise<{ readonly open: () => Promise<QueueStore>; readonly destroy: () => Promise<void> }>;
}

/** Opens a store before each test, and destroys it after; the returned function closes and opens it anew. */
export function storeForEach(engine: EngineUnderTest, onOpened: (queue: QueueStore) => void): () => Promise<void> {
  let store: Awaited<ReturnType<EngineUnderTest["create"]>>;
  let queue: QueueStore;
  const open = async (): Promise<void> => {
    queue = await store.open();
    onOpened(queue);
  };
  beforeEach(async () => {
    store = await engine.create();
    await open();
  });
  afterEach(async () => {
    await queue.close();
    await store.destroy();
  });
  return async () => {
    await queue.close();
    await open();
  };
}
