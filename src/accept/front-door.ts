/**
 * From an accepted socket to a session: limits first, then the PROXY header where one is demanded, then implicit TLS.
 * A connection from a proxy that does not announce its client is closed; nobody else's announcement is believed.
 */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { reply, type SmtpReply } from "../mail/smtp-reply.ts";
import type { Admitted, Occupant } from "./admission.ts";
import type { Door } from "./deps.ts";
import { handshake } from "./handshake.ts";
import type { Hub } from "./hub.ts";
import { isInAny, normalAddress } from "./networks.ts";
import { clientEntry } from "./permission.ts";
import { readProxyHeader } from "./proxy-header.ts";
import { Session } from "./session.ts";
import { type Arrival, SHUTTING_DOWN } from "./session-wire.ts";

const BEFORE_SESSION_MS = 10_000;

/** One connection of a listener, from accept to its end. */
export interface Guest {
  /** 421 at once when idle, else after the message in hand. */
  readonly shutDown: () => void;
  /** At once. */
  readonly destroy: () => void;
  /** Resolves when the socket is closed and its place free. */
  readonly gone: Promise<void>;
}

export interface FrontDoor {
  readonly enter: (socket: Socket) => void;
  readonly guests: ReadonlySet<Guest>;
}

export function createFrontDoor(door: Door, hub: Hub): FrontDoor {
  const guests = new Set<Guest>();
  return {
    guests,
    enter: (socket) => {
      let session: Session | undefined;
      let top: Socket = socket;
      const guest: Guest = {
        gone: new Promise((resolve) => {
          socket.once("close", () => resolve());
        }),
        shutDown: () => (session === undefined ? top.destroy() : session.shutDown()),
        destroy: () => {
          session?.answer(SHUTTING_DOWN);
          (session?._socket ?? top).destroySoon();
        },
      };
      guests.add(guest);
      socket.on("error", () => {});
      socket.once("close", () => guests.delete(guest));
      const begin = async (): Promise<void> => {
        const arrived = await welcome(door, socket, (inner) => void (top = inner));
        if (arrived === undefined || arrived.socket.destroyed) return;
        session = new Session(hub, arrived.socket, door, arrived.arrival);
        arrived.occupy(session);
        session.init();
      };
      begin().catch((error: unknown) => {
        door.deps.emit("error", { kind: "accept", detail: error instanceof Error ? error.message : String(error) });
        top.destroy();
      });
    },
  };
}

interface Arrived {
  readonly socket: Socket | TLSSocket;
  readonly arrival: Arrival;
  readonly occupy: (session: Session) => void;
}

async function welcome(door: Door, socket: Socket, secured: (socket: Socket) => void): Promise<Arrived | undefined> {
  const id = door.deps.random.bytes(8).toString("hex");
  const own = { address: normalAddress(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
  const isProxy = isInAny(own.address, door.listener().proxyProtocol);
  const source = isProxy ? await announced(door, socket) : own;
  const arrival = { id, ...(source ?? own) };
  if (source === undefined) return refuse(door, { socket, arrival }, reply(554, "5.1", "A PROXY header is needed"));
  const place = takePlace(door, socket, arrival.address);
  if (!place.admitted.ok) {
    const { limit, value } = place.admitted;
    door.deps.emit("limit.hit", { ...fieldsOf(door, arrival), limit, value });
    return refuse(door, { socket, arrival }, reply(421, "7.0", "Too many connections, try again later"));
  }
  const { leave } = place.admitted;
  socket.once("close", leave);
  if (door.listener().tls !== "implicit") return { socket, arrival, occupy: place.occupy };
  const inner = await secure(door, socket, arrival);
  if (inner === undefined) return undefined;
  secured(inner);
  return { socket: inner, arrival, occupy: place.occupy };
}

function takePlace(
  door: Door,
  socket: Socket,
  address: string,
): { admitted: Admitted; occupy: (session: Session) => void } {
  let session: Session | undefined;
  const since = door.deps.clock.monotonic();
  const occupant: Occupant = {
    address,
    permitted: clientEntry(door.listener(), address, door.deps.clock.now()) !== undefined,
    idleSince: () => (session === undefined ? since : session.idleSince()),
    evict: (limit, value) => {
      if (session === undefined) socket.destroy();
      else session.hitLimit(limit, value, reply(421, "7.0", "Closed to make room for a newer connection"));
    },
  };
  return { admitted: door.admission.enter(occupant), occupy: (made) => void (session = made) };
}

function fieldsOf(door: Door, arrival: Arrival) {
  return { session: arrival.id, listener: door.listener().name, address: arrival.address, port: arrival.port };
}

function refuse(door: Door, { socket, arrival }: { socket: Socket; arrival: Arrival }, answer: SmtpReply): undefined {
  door.deps.emit("session.refused", { ...fieldsOf(door, arrival), code: answer.code, reason: answer.text });
  if (door.listener().tls === "implicit") socket.destroy();
  else socket.end(`${answer.code} ${answer.enhancedCode} ${answer.text}\r\n`);
  socket.resume();
  door.deps.clock.after(BEFORE_SESSION_MS, () => socket.destroy());
  return undefined;
}

async function secure(door: Door, socket: Socket, arrival: Arrival): Promise<TLSSocket | undefined> {
  const { clock, emit } = door.deps;
  const listener = door.listener();
  const profile = clientEntry(listener, arrival.address, clock.now())?.profile ?? listener.profile;
  const result = await handshake(socket, { tls: door.tls(), profile, clock, timeoutMs: BEFORE_SESSION_MS });
  if (result.ok) return result.socket;
  emit("tls.failed", { ...fieldsOf(door, arrival), reason: result.reason, detail: result.detail });
  return undefined;
}

/** Whom the proxy speaks for; undefined when it does not say so in time or in form. */
function announced(door: Door, socket: Socket): Promise<{ address: string; port: number } | undefined> {
  const own = { address: normalAddress(socket.remoteAddress ?? ""), port: socket.remotePort ?? 0 };
  return new Promise((resolve) => {
    let seen: Buffer = Buffer.alloc(0);
    const finish = (source: { address: string; port: number } | undefined): void => {
      cancel();
      socket.off("readable", read);
      socket.off("close", fail);
      resolve(source);
    };
    const fail = (): void => finish(undefined);
    const cancel = door.deps.clock.after(BEFORE_SESSION_MS, fail);
    const read = (): void => {
      for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read())
        seen = Buffer.concat([seen, chunk]);
      const header = readProxyHeader(seen);
      if (header.kind === "incomplete") return;
      if (header.kind === "bad") return fail();
      if (header.length < seen.length) socket.unshift(seen.subarray(header.length));
      const { source } = header;
      finish(source === undefined ? own : { address: normalAddress(source.address), port: source.port });
    };
    socket.on("readable", read);
    socket.once("close", fail);
  });
}
