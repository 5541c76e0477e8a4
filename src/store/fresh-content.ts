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
  /** `uses` is the number of first attempts that will each call `release` once. */
  readonly remember: (messageId: string, content: Content, uses: number) => void;
  readonly get: (messageId: string) => Content | undefined;
  readonly release: (messageId: string) => void;
  /** Octets held. */
  readonly held: () => number;
}

/** Holds at most `capacity` octets; what does not fit is not remembered. */
export function createFreshContent(capacity: number): FreshContent {
  const messages = new Map<string, Content & { uses: number }>();
  let held = 0;
  return {
    remember: (messageId, content, uses) => {
      const size = content.header.length + content.body.length;
      if (uses <= 0 || held + size > capacity) return;
      held += size;
      messages.set(messageId, { ...content, uses });
    },
    get: (messageId) => messages.get(messageId),
    release: (messageId) => {
      const known = messages.get(messageId);
      if (known === undefined) return;
      known.uses -= 1;
      if (known.uses > 0) return;
      held -= known.header.length + known.body.length;
      messages.delete(messageId);
    },
    held: () => held,
  };
}
