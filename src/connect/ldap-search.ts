/**
 * One search in a directory (RFC 4511): a connection of its own, bound in time, octets and entries, and proven by its
 * certificate before a password crosses. A server that is out is left alone for half a minute, so that nobody waits for
 * it in vain. The only file that knows ldapts. Never rejects.
 */
import { connect as connectPlain, isIP, type Socket } from "node:net";
import { connect as connectTls, type ConnectionOptions, getCACertificates } from "node:tls";
import { Client, ResultCodeError } from "ldapts";
import type { LdapServer } from "../mail/smime-settings.ts";
import type { Clock } from "../runtime/clock.ts";

export interface LdapQuery {
  readonly base: string;
  /** RFC 4515, values already escaped. */
  readonly filter: string;
  readonly attributes: readonly string[];
}

export type LdapResult =
  /** Per entry the values of all attributes asked for, one after the other. */
  | { readonly kind: "entries"; readonly entries: readonly (readonly Buffer[])[] }
  | { readonly kind: "failed"; readonly detail: string };

export type LdapSearch = (server: LdapServer, query: LdapQuery) => Promise<LdapResult>;

const MOST_ENTRIES = 10;
const MOST_OCTETS = 4 * 1_048_576;
const MOST_AT_ONCE = 4;
const MOST_WAITING = 200;
const OUT_MS = 30_000;

/** Of one server, as it is configured: a reload begins anew. */
interface Queue {
  running: number;
  readonly waiting: Set<() => void>;
  /** Nobody was reached: what to answer, and until when by the monotonic clock. */
  out: { readonly result: LdapResult; readonly until: number } | undefined;
}

/** `out`: the server as a whole is not to be had, whatever it would be asked. */
interface Ended {
  readonly result: LdapResult;
  readonly out: boolean;
}

export function createLdapSearch({ clock }: { readonly clock: Pick<Clock, "sleep" | "monotonic"> }): LdapSearch {
  const queues = new WeakMap<LdapServer, Queue>();
  return async (server, query) => {
    const queue = queues.get(server) ?? { running: 0, waiting: new Set(), out: undefined };
    queues.set(server, queue);
    const known = outage(queue, clock);
    if (known !== undefined) return known;
    if (queue.waiting.size >= MOST_WAITING) return failed("too many look-ups wait for it");
    const ending = new AbortController();
    // One deadline for waiting and asking: who stands behind others is not to wait longer than they.
    const late = clock.sleep(server.timeoutMs, ending.signal).then(() => failed(`no answer in ${server.timeoutMs} ms`));
    const turn = await turnIn(queue, late);
    try {
      if (turn === "never") return await late;
      return outage(queue, clock) ?? (await ask(queue, clock, () => searchOnce(server, query, { late, turn })));
    } finally {
      ending.abort();
      if (turn !== "never") leave(queue);
    }
  };
}

function outage(queue: Queue, clock: Pick<Clock, "monotonic">): LdapResult | undefined {
  return queue.out !== undefined && clock.monotonic() < queue.out.until ? queue.out.result : undefined;
}

async function ask(queue: Queue, clock: Pick<Clock, "monotonic">, search: () => Promise<Ended>): Promise<LdapResult> {
  const { result, out } = await search();
  if (out) queue.out = { result, until: clock.monotonic() + OUT_MS };
  return result;
}

type Turn = "at once" | "waited" | "never";

async function turnIn(queue: Queue, late: Promise<unknown>): Promise<Turn> {
  if (queue.running < MOST_AT_ONCE) {
    queue.running++;
    return "at once";
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  queue.waiting.add(resolve);
  await Promise.race([promise, late]);
  return queue.waiting.delete(resolve) ? "never" : "waited";
}

function leave(queue: Queue): void {
  const [next] = queue.waiting;
  if (next === undefined) {
    queue.running--;
    return;
  }
  queue.waiting.delete(next);
  next(); // takes the place over
}

async function searchOnce(
  server: LdapServer,
  query: LdapQuery,
  { late, turn }: { readonly late: Promise<LdapResult>; readonly turn: Turn },
): Promise<Ended> {
  const unsafe = refusal(server);
  if (unsafe !== undefined) return { result: failed(unsafe), out: false };
  const sockets: Socket[] = [];
  // Silence proves an outage only where the whole time was the server's.
  const silence = late.then((result): Ended => ({ result, out: turn === "at once" }));
  const ended = await Promise.race([talk(server, query, sockets), silence]);
  for (const socket of sockets) socket.destroy();
  return ended;
}

/** A password, and whom mail is encrypted to, are nothing for the open network; without password a bind proves nothing. */
function refusal({ url, startTls, bind }: LdapServer): string | undefined {
  const { protocol, hostname } = URL.parse(url) ?? {};
  const local = hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname ?? "");
  if (protocol === "ldap:" && !startTls && !local) return "ldap:// without STARTTLS";
  return bind?.password === "" ? "a bind without password" : undefined; // RFC 4513 §5.1.2
}

/** The one place where ldapts' exceptions end. */
async function talk(server: LdapServer, query: LdapQuery, sockets: Socket[]): Promise<Ended> {
  try {
    const client = clientFor(server, sockets);
    if (server.startTls) await client.startTLS(tlsOptions(server));
    if (server.bind !== null) await client.bind(server.bind.dn, server.bind.password);
    // OpenLDAP knows no `;binary` of userSMIMECertificate, and some servers leave it out: asked for in both ways.
    const attributes = [...new Set(query.attributes.flatMap((name) => [name, name.replace(/;.*$/, "")]))];
    const { searchEntries } = await client.search(query.base, {
      scope: "sub",
      filter: query.filter,
      attributes,
      explicitBufferAttributes: attributes,
      sizeLimit: MOST_ENTRIES,
      derefAliases: "never",
    });
    void client.unbind().catch(() => undefined);
    return { result: { kind: "entries", entries: searchEntries.slice(0, MOST_ENTRIES).map(valuesOf) }, out: false };
  } catch (error) {
    return reason(error);
  }
}

function valuesOf(entry: Readonly<Record<string, unknown>>): Buffer[] {
  return Object.values(entry).flatMap((value) => [value].flat().filter((one): one is Buffer => Buffer.isBuffer(one)));
}

function reason(error: unknown): Ended {
  if (error instanceof ResultCodeError) {
    return { result: failed(`the directory refused: ${error.name} (${error.code})`), out: false };
  }
  const { code } = error as NodeJS.ErrnoException;
  // Without a code it may have been cut off here, for one answer that was too large.
  return code === undefined
    ? { result: failed("the connection ended"), out: false }
    : { result: failed(`no connection: ${code}`), out: true };
}

function clientFor(server: LdapServer, sockets: Socket[]): Client {
  const watched = <S extends Socket>(socket: S): S => {
    let octets = 0;
    sockets.push(socket);
    socket.on("data", (chunk: Buffer) => {
      octets += chunk.length;
      if (octets > MOST_OCTETS) socket.destroy();
    });
    return socket;
  };
  return new Client({
    url: server.url,
    connectTimeout: server.timeoutMs,
    timeout: server.timeoutMs,
    // Any TLS option makes ldapts speak TLS at once, whatever the scheme.
    ...(server.url.startsWith("ldaps:") && { tlsOptions: tlsOptions(server) }),
    createConnection: ((port: number, host: string) =>
      watched(connectPlain({ port, host }))) as unknown as typeof connectPlain,
    // `(port, host, options)` for ldaps, `(options)` with the socket in it for STARTTLS.
    createSecureConnection: ((...args: readonly [number, string, ConnectionOptions] | readonly [ConnectionOptions]) =>
      watched(
        connectTls(args.length === 1 ? args[0] : { ...args[2], port: args[0], host: args[1] }),
      )) as unknown as typeof connectTls,
  });
}

function tlsOptions({ url, ca }: LdapServer): ConnectionOptions {
  const host = (URL.parse(url)?.hostname ?? "").replace(/^\[|\]$/g, "");
  const system = ca.length > 0 ? ca : getCACertificates("system");
  return {
    host, // whom the certificate must name
    ...(isIP(host) === 0 && { servername: host }),
    ca: [...(system.length > 0 ? system : getCACertificates("bundled"))],
    minVersion: "TLSv1.2",
    // A pinned intermediate is an anchor of its own (X509_V_FLAG_PARTIAL_CHAIN).
    ...(ca.length > 0 && { allowPartialTrustChain: true }),
  };
}

function failed(detail: string): LdapResult {
  return { kind: "failed", detail };
}
