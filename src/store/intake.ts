/**
 * New messages on their way into the database: which sealed body belongs to which handle, and what becomes of body files
 * when storing fails. A refused message leaves no file; one in doubt is settled when the database has been reopened.
 */
import { join } from "node:path";
import type { Disk } from "./disk.ts";
import type { FreeSpace } from "./free-space.ts";
import type { NewMessage, SealedBody } from "./queue.ts";
import type { MessageKey, QueueKey } from "./seal.ts";
import { toMessageRow } from "./sealed-rows.ts";
import type { SpooledBody } from "./spool.ts";
import { InDoubt } from "./sqlite-link.ts";
import type { MessageRow } from "./sqlite-protocol.ts";

export interface Intake {
  readonly spools: { readonly onEnd: (body: SpooledBody) => void; readonly taken: (body: SealedBody) => boolean };
  /** Seals, stores with `store`, and undoes when that fails or answers null. `reserved`: new mail, only above the reserve. */
  readonly store: <T>(
    messages: readonly NewMessage[],
    reserved: boolean,
    store: (rows: readonly MessageRow[]) => Promise<T>,
  ) => Promise<T>;
}

export interface IntakeDeps {
  readonly disk: Pick<Disk, "remove">;
  readonly key: QueueKey;
  readonly bodies: string;
  readonly space: FreeSpace;
  /** A stored delivery whose lease is the caller's. */
  readonly onTaken: (deliveryId: string, key: MessageKey) => void;
  /** New mail, refused, of which it is unknown whether it was stored; forgotten at the next opening. */
  readonly doubt: Set<string>;
}

export function createIntake(deps: IntakeDeps): Intake {
  const spooled = new WeakMap<SealedBody, SpooledBody>();
  const taken = new WeakSet<SealedBody>();
  const take = ({ body, facts }: NewMessage): SpooledBody => {
    const found = spooled.get(body);
    if (found === undefined || taken.has(body))
      throw new TypeError("A body is stored once, by the store that sealed it");
    if (found.messageId !== facts.id) throw new TypeError("The body was sealed for another message");
    taken.add(body);
    return found;
  };
  const undo = async (bodies: readonly SpooledBody[]): Promise<void> => {
    for (const { messageId, sealed } of bodies) {
      if (sealed === undefined) await deps.disk.remove(join(deps.bodies, messageId)).catch(() => undefined);
    }
  };
  return {
    spools: { onEnd: (body) => void spooled.set(body, body), taken: (body) => taken.has(body) },
    store: async (messages, reserved, store) => {
      const bodies = messages.map(take);
      const written = deps.space.hold(weightOf(messages, bodies));
      try {
        if (reserved) await deps.space.demand();
        const rows = messages.map((message, index) => toMessageRow(message, at(bodies, index), deps.key));
        const result = await store(rows);
        if (result === null) await undo(bodies);
        else lease(deps, messages, bodies);
        return result;
      } catch (error) {
        // Notices are there if, and only if, the endings that caused them are: to forget them would leave those untold.
        if (!(error instanceof InDoubt)) await undo(bodies);
        else if (reserved) for (const { messageId } of bodies) deps.doubt.add(messageId);
        throw error;
      } finally {
        written();
      }
    },
  };
}

/** Octets that storing takes, log and database together: what is sealed is written twice, and index pages besides. */
function weightOf(messages: readonly NewMessage[], bodies: readonly SpooledBody[]): number {
  const sealed = bodies.reduce((sum, body) => sum + (body.sealed?.length ?? 0), 0);
  return messages.reduce((sum, { header }) => sum + 2 * header.length + INDEX_BYTES, 2 * sealed);
}

const INDEX_BYTES = 32 * 1024;

function lease(deps: IntakeDeps, messages: readonly NewMessage[], bodies: readonly SpooledBody[]): void {
  for (const [index, { deliveries }] of messages.entries()) {
    for (const { id, state } of deliveries) if (state === "leased") deps.onTaken(id, at(bodies, index).key);
  }
}

function at(bodies: readonly SpooledBody[], index: number): SpooledBody {
  const body = bodies[index];
  if (body === undefined) throw new TypeError("A message without its body");
  return body;
}
