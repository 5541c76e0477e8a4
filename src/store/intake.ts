/**
 * New messages on their way into the database: which sealed body belongs to which handle, and what becomes of body files
 * when storing fails. A refused message leaves no file; one in doubt is settled when the database has been reopened.
 */
import { join } from "node:path";
import type { Random } from "../runtime/random.ts";
import { bodyFileName } from "./body-file.ts";
import type { Disk } from "./disk.ts";
import type { FreeSpace } from "./free-space.ts";
import type { NewMessage, SealedBody } from "./queue.ts";
import type { StoreKeys } from "./key-ring.ts";
import { type MessageKey, rewrapMessageKey } from "./seal.ts";
import { toMessageRow } from "./sealed-rows.ts";
import type { SpooledBody } from "./spool.ts";
import { InDoubt } from "./sqlite-link.ts";
import type { MessageRow } from "./sqlite-protocol.ts";

export interface Intake {
  readonly spools: {
    readonly onEnd: (body: SpooledBody) => void;
    readonly taken: (body: SealedBody) => boolean;
    readonly onDiscard: (body: SealedBody) => void;
    /** Throws TypeError for one that was not sealed here, was stored already or was discarded. */
    readonly of: (body: SealedBody) => SpooledBody;
  };
  /** Seals, stores with `store`, and undoes when that fails or answers null. `reserved`: new mail, only above the reserve. */
  readonly store: <T>(
    messages: readonly NewMessage[],
    reserved: boolean,
    store: (rows: readonly MessageRow[]) => Promise<T>,
  ) => Promise<T>;
}

export interface IntakeDeps {
  readonly disk: Pick<Disk, "remove">;
  readonly keys: StoreKeys;
  readonly random: Random;
  readonly bodies: string;
  readonly space: FreeSpace;
  /** A stored delivery whose lease is the caller's. */
  readonly onTaken: (deliveryId: string, key: MessageKey) => void;
  /** Body files of new mail, refused, of which it is unknown whether it was stored; forgotten at the next opening. */
  readonly doubt: Set<string>;
}

export function createIntake(deps: IntakeDeps): Intake {
  const spooled = new WeakMap<SealedBody, SpooledBody>();
  const taken = new WeakSet<SealedBody>();
  const of = (body: SealedBody): SpooledBody => {
    const found = spooled.get(body);
    if (found === undefined || taken.has(body))
      throw new TypeError("A body is stored once, by the store that sealed it, unless it was discarded");
    return found;
  };
  /** All or none: what is refused stays the caller's to discard. */
  const take = (messages: readonly NewMessage[]): SpooledBody[][] => {
    const bodies = messages.map(bodiesOf);
    const all = bodies.flat();
    if (new Set(all).size < all.length) throw new TypeError("A body belongs to one message");
    for (const body of all) taken.add(body);
    return bodies;
  };
  const bodiesOf = ({ contents, facts }: NewMessage): SpooledBody[] => {
    const bodies = [...new Set(contents.map(({ body }) => body))].map(of);
    if (bodies.some(({ messageId }) => messageId !== facts.id))
      throw new TypeError("The body was sealed for another message");
    if (new Set(bodies.map(({ part }) => part)).size < bodies.length)
      throw new TypeError("Two bodies of a message have the same number");
    return bodies;
  };
  const undo = async (bodies: readonly SpooledBody[]): Promise<void> => {
    for (const { messageId, part, sealed } of bodies) {
      const file = join(deps.bodies, bodyFileName(messageId, part));
      if (sealed === undefined) await deps.disk.remove(file).catch(() => undefined);
    }
  };
  return {
    spools: {
      onEnd: (body) => void spooled.set(body, body),
      taken: (body) => taken.has(body),
      onDiscard: (body) => void spooled.delete(body),
      of,
    },
    store: async (messages, reserved, store) => {
      const bodies = take(messages);
      const written = deps.space.hold(weightOf(messages, bodies));
      try {
        if (reserved) await deps.space.demand();
        const rows = messages.map((message, index) => rowOf(deps, message, bodies[index] ?? []));
        const result = await store(rows);
        if (result === null) await undo(bodies.flat());
        else lease(deps, messages, bodies);
        return result;
      } catch (error) {
        // Notices are there if, and only if, the endings that caused them are: to forget them would leave those untold.
        if (!(error instanceof InDoubt)) await undo(bodies.flat());
        else if (reserved)
          for (const { messageId, part } of bodies.flat()) deps.doubt.add(bodyFileName(messageId, part));
        throw error;
      } finally {
        written();
      }
    },
  };
}

/** From here to the database nothing waits, so no rotation of the queue key comes between. */
function rowOf(
  { keys, random }: Pick<IntakeDeps, "keys" | "random">,
  message: NewMessage,
  bodies: readonly SpooledBody[],
): MessageRow {
  const current = keys.ring.current();
  // A rotation while it arrived: its keys were wrapped by the former one, perhaps not all of them.
  const now = bodies.map((body) => ({ ...body, key: rewrapMessageKey(body.key, current, random) }));
  return toMessageRow(message, now, keys);
}

/** Octets that storing takes, log and database together: what is sealed is written twice, and index pages besides. */
function weightOf(messages: readonly NewMessage[], bodies: readonly (readonly SpooledBody[])[]): number {
  const sealed = bodies.flat().reduce((sum, body) => sum + (body.sealed?.length ?? 0), 0);
  const headers = messages.flatMap(({ contents }) => contents.map(({ header }) => header.length));
  return headers.reduce((sum, length) => sum + 2 * length + INDEX_BYTES, 2 * sealed);
}

const INDEX_BYTES = 32 * 1024;

function lease(deps: IntakeDeps, messages: readonly NewMessage[], bodies: readonly (readonly SpooledBody[])[]): void {
  for (const [index, { deliveries }] of messages.entries()) {
    for (const { id, state } of deliveries) if (state === "leased") deps.onTaken(id, firstOf(bodies, index).key);
  }
}

/** The body whose key seals the message. */
function firstOf(bodies: readonly (readonly SpooledBody[])[], index: number): SpooledBody {
  const body = bodies[index]?.[0];
  if (body === undefined) throw new TypeError("A message without its body");
  return body;
}
