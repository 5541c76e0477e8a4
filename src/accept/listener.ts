/**
 * The SMTP server side as a whole: binds the listeners, applies new settings to them whole or not at all, and stops
 * them without cutting a message in hand. The only room that knows smtp-server.
 */
import { createServer, type Server } from "node:net";
import { createAdmission } from "./admission.ts";
import type { AcceptDeps, Door } from "./deps.ts";
import { createFrontDoor, type FrontDoor } from "./front-door.ts";
import { createGuessLimit } from "./guess-limit.ts";
import { createListenerTls, type ListenerTls } from "./handshake.ts";
import { Hub } from "./hub.ts";
import { createPasswordCheck } from "./passwords.ts";
import type { AcceptSettings, ListenerSettings } from "./settings.ts";

export interface Bound {
  readonly name: string;
  readonly direction: string;
  readonly address: string;
  readonly port: number;
}

export type Reloaded =
  | { readonly ok: true }
  | { readonly ok: false; readonly listener: string; readonly detail: string };

export interface Listeners {
  /** Resolves when every listener accepts. Rejects with the system's error when one cannot be bound. */
  readonly listen: () => Promise<readonly Bound[]>;
  /** Sessions in hand go on with the new rules; a bad certificate leaves everything as it was. */
  readonly reload: (settings: AcceptSettings) => Reloaded;
  /** Idle sessions hear 421, others finish their message, and after `graceMs` all are closed. */
  readonly stop: (graceMs: number) => Promise<void>;
  readonly sessions: () => number;
}

/** What is in force; replaced as a whole. */
interface InForce {
  readonly settings: AcceptSettings;
  readonly tls: ReadonlyMap<string, ListenerTls>;
}

/** Throws what OpenSSL says when a certificate cannot be used. */
export function createListeners(deps: AcceptDeps): Listeners {
  let inForce: InForce = { settings: deps.settings, tls: contexts(deps.settings) };
  let stopping = false;
  const shared = {
    admission: createAdmission(deps.clock, () => inForce.settings.limits),
    guesses: createGuessLimit(deps.clock),
    verifyPassword: createPasswordCheck(deps.random),
    stopping: () => stopping,
  };
  const houses = deps.settings.listeners.map((listener) => createHouse(deps, listener, () => inForce, shared));
  return {
    listen: () => Promise.all(houses.map(({ listen }) => listen())),
    reload: (settings) => {
      const moved = findMoved(inForce.settings, settings);
      if (moved !== undefined)
        return { ok: false, listener: moved, detail: "Listeners and their addresses need a restart" };
      const prepared = prepare(settings);
      if ("detail" in prepared) return prepared;
      inForce = prepared;
      return { ok: true };
    },
    stop: async (graceMs) => {
      stopping = true;
      await Promise.all(houses.map(({ stop }) => stop(graceMs)));
    },
    sessions: () => shared.admission.size(),
  };
}

function contexts(settings: AcceptSettings): Map<string, ListenerTls> {
  return new Map(settings.listeners.map((listener) => [listener.name, createListenerTls(listener)]));
}

/** Makes every context before any is used. */
function prepare(settings: AcceptSettings): InForce | (Reloaded & { ok: false }) {
  const tls = new Map<string, ListenerTls>();
  for (const listener of settings.listeners) {
    try {
      tls.set(listener.name, createListenerTls(listener));
    } catch (error) {
      return { ok: false, listener: listener.name, detail: error instanceof Error ? error.message : String(error) };
    }
  }
  return { settings, tls };
}

function findMoved(before: AcceptSettings, after: AcceptSettings): string | undefined {
  const place = ({ name, address, port, tls }: ListenerSettings): string =>
    JSON.stringify([name, address, port, tls === "implicit"]);
  const places = before.listeners.map(place);
  const moved = after.listeners.find((listener) => !places.includes(place(listener)));
  if (moved !== undefined) return moved.name;
  return before.listeners.find(({ name }) => !after.listeners.some((other) => other.name === name))?.name;
}

interface House {
  readonly listen: () => Promise<Bound>;
  readonly stop: (graceMs: number) => Promise<void>;
}

type Shared = Pick<Door, "admission" | "guesses" | "verifyPassword" | "stopping">;

function createHouse(deps: AcceptDeps, first: ListenerSettings, inForce: () => InForce, shared: Shared): House {
  const current = (): ListenerSettings => inForce().settings.listeners.find(({ name }) => name === first.name) ?? first;
  const door: Door = {
    ...shared,
    deps,
    settings: () => inForce().settings,
    listener: current,
    tls: () => {
      const tls = inForce().tls.get(first.name);
      if (tls === undefined) throw new Error(`The listener ${first.name} has no TLS contexts`);
      return tls;
    },
  };
  const frontDoor = createFrontDoor(door, new Hub());
  const server = createServer({ noDelay: true }, frontDoor.enter);
  return {
    listen: () => bind(server, first),
    stop: (graceMs) => close(deps, server, frontDoor, graceMs),
  };
}

function bind(server: Server, { name, direction, address, port }: ListenerSettings): Promise<Bound> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: address, port }, () => {
      server.off("error", reject);
      server.on("error", () => {}); // EMFILE while accepting: the next connection is tried again
      const bound = server.address();
      resolve({ name, direction, address, port: typeof bound === "object" && bound !== null ? bound.port : port });
    });
  });
}

async function close(deps: AcceptDeps, server: Server, { guests }: FrontDoor, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  for (const guest of guests) guest.shutDown();
  const cancel = deps.clock.after(graceMs, () => {
    for (const guest of guests) guest.destroy();
  });
  await closed;
  cancel();
  await Promise.all([...guests].map(({ gone }) => gone));
}
