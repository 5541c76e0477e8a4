/**
 * Sessions kept open for the next delivery, one pool per worker, keyed by everything that shaped the handshake.
 * It hands out plain Sessions with their evidence and vouches for nothing: `admit` judges each delivery anew.
 */
import { createHash } from "node:crypto";
import type { Host } from "../mail/host.ts";
import type { Problem } from "../mail/outcome.ts";
import type { Session } from "../mail/session.ts";
import { type Connection, openConnection, type OpenerDeps, type Opening } from "./open-session.ts";
import { sourceAddressFor } from "./tcp.ts";

export interface PooledOpening extends Opening {
  /** Never one that an earlier delivery has used. */
  readonly fresh: boolean;
}

export interface SessionPool {
  readonly connect: (host: Host, opening: PooledOpening) => Promise<Session | Problem<"deferred">>;
  /** Gives a session back after a delivery; it is kept if it is still good for another. */
  readonly release: (session: Session) => void;
  /** Ends a session that was not admitted: QUIT and nothing else. */
  readonly dismiss: (session: Session) => void;
  /** Ends idle sessions now and those in use when they come back, as after a reload. */
  readonly empty: () => void;
  /** Sessions open now, in use or idle. */
  readonly size: () => number;
}

interface Entry {
  readonly key: string;
  readonly connection: Connection;
  readonly generation: number;
  /** Set while idle. */
  cancelIdle?: () => void;
}

export function createSessionPool(deps: OpenerDeps): SessionPool {
  const idle = new Map<string, Entry[]>();
  const open = new Set<Entry>();
  const lent = new WeakMap<Session, Entry>();
  let generation = 0;

  const takeIdle = (key: string): Entry | undefined => {
    for (let entry = idle.get(key)?.pop(); entry !== undefined; entry = idle.get(key)?.pop()) {
      entry.cancelIdle?.();
      if (entry.connection.alive()) return entry;
      entry.connection.cut();
    }
    return undefined;
  };

  const forget = (entry: Entry): void => {
    entry.cancelIdle?.();
    open.delete(entry);
    const rest = idle.get(entry.key)?.filter((other) => other !== entry) ?? [];
    if (rest.length > 0) idle.set(entry.key, rest);
    else idle.delete(entry.key);
  };

  const lend = (entry: Entry): Session => {
    const session = entry.connection.lend();
    lent.set(session, entry);
    return session;
  };

  const end = (entry: Entry): void => {
    forget(entry);
    entry.connection.quit();
  };

  return {
    connect: async (host, opening) => {
      const key = sessionKey(host, opening, deps);
      const waiting = opening.fresh ? undefined : takeIdle(key);
      if (waiting !== undefined) return lend(waiting);
      const startedAt = generation;
      const connection = await openConnection(host, opening, deps);
      if ("kind" in connection) return connection;
      const entry: Entry = { key, connection, generation: startedAt };
      open.add(entry);
      connection.onEnd(() => forget(entry));
      return lend(entry);
    },
    release: (session) => {
      const entry = lent.get(session);
      if (entry === undefined || !lent.delete(session)) return;
      const { messagesPerConnection, idleConnectionMs } = deps.settings();
      const { connection } = entry;
      if (!connection.alive()) return;
      if (entry.generation !== generation || connection.lent() >= messagesPerConnection || deps.stopping.aborted) {
        end(entry);
        return;
      }
      entry.cancelIdle = deps.clock.after(idleConnectionMs, () => end(entry));
      idle.set(entry.key, [...(idle.get(entry.key) ?? []), entry]);
    },
    dismiss: (session) => {
      const entry = lent.get(session);
      if (entry !== undefined && lent.delete(session)) end(entry);
    },
    empty: () => {
      generation += 1;
      for (const entries of idle.values()) for (const entry of entries) end(entry);
    },
    size: () => open.size,
  };
}

/** A digest, so that no credentials stand in the keys. */
function sessionKey(host: Host, { use, policy }: Opening, deps: OpenerDeps): string {
  const settings = deps.settings();
  const shaped = [
    host.name,
    host.address,
    host.port,
    host.implicitTls,
    host.auth ?? null,
    sourceAddressFor(host.address, settings.sourceAddresses) ?? null,
    settings.hostname,
    policy.servername ?? null,
    use,
    deps.contexts.keyOf(policy),
  ];
  return createHash("sha256").update(JSON.stringify(shaped)).digest("hex");
}
