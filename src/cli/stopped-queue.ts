/** Opens the queue of a gateway that is stopped, under the same lock that a start takes. Never waits for the lock. */
import type { Settings } from "../config/settings.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import { acquireInstanceLock } from "../store/instance-lock.ts";
import { createSqliteQueue } from "../store/sqlite-queue.ts";
import { StoreStartError } from "../store/start-error.ts";
import { EXIT, type OpenedQueue } from "./deps.ts";

export async function openStoppedQueue(
  settings: Settings,
  deps: { readonly clock: Clock; readonly random: Random },
): Promise<OpenedQueue> {
  const lock = await acquireInstanceLock(settings.dataDir);
  if (lock.kind === "refused") {
    const who = lock.pid === undefined ? "A gateway" : `The gateway with process id ${lock.pid}`;
    const line = `${who} holds ${lock.file} but does not answer on its admin listener. Stop it, or wait until it is ready.`;
    return { ok: false, exitCode: EXIT.unreachable, lines: [line] };
  }
  try {
    const queue = await createSqliteQueue({ ...deps, settings: settings.store });
    const close = async (): Promise<void> => {
      await queue.close();
      await lock.release();
    };
    return { ok: true, queue, history: queue.history, keys: queue.keys, close };
  } catch (error) {
    await lock.release();
    if (!(error instanceof StoreStartError)) throw error;
    return { ok: false, exitCode: EXIT.configuration, lines: [error.message] };
  }
}
