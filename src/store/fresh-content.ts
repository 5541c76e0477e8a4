/**
 * Small messages just stored, kept in memory until their first attempts have ended, so that they need not be
 * read back and unsealed. Only ever a copy: the queue has the message, and what is missing here is read there.
 */

export interface Content {
  /** With the empty line that ends it. */
  readonly header: Buffer;
  readonly body: Buffer;
}

export interface FreshContent {
  /** `number`: which content of the message. `uses` is the number of first attempts that will each call `release` once. */
  readonly remember: (messageId: string, number: number, content: Content, uses: number) => void;
  readonly get: (messageId: string, number: number) => Content | undefined;
  readonly release: (messageId: string, number: number) => void;
  /** Octets held. */
  readonly held: () => number;
}

/** Holds at most `capacity` octets; what does not fit is not remembered. */
export function createFreshContent(capacity: number): FreshContent {
  const contents = new Map<string, Content & { uses: number }>();
  const keyOf = (messageId: string, number: number): string => `${messageId} ${number}`;
  let held = 0;
  return {
    remember: (messageId, number, content, uses) => {
      const size = content.header.length + content.body.length;
      if (uses <= 0 || held + size > capacity) return;
      held += size;
      contents.set(keyOf(messageId, number), { ...content, uses });
    },
    get: (messageId, number) => contents.get(keyOf(messageId, number)),
    release: (messageId, number) => {
      const known = contents.get(keyOf(messageId, number));
      if (known === undefined) return;
      known.uses -= 1;
      if (known.uses > 0) return;
      held -= known.header.length + known.body.length;
      contents.delete(keyOf(messageId, number));
    },
    held: () => held,
  };
}
