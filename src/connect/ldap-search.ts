/**
 * One search in a directory (RFC 4511): a connection of its own, bound in time, octets and entries, and proven by its
 * certificate before a password crosses. The only file that knows ldapts. Never rejects.
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

export function createLdapSearch({ clock }: { readonly clock: Pick<Clock, "sleep"> }): LdapSearch {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async (server, query) => {
    if (running >= MOST_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await searchOnce(clock, server, query);
    } finally {
      const next = waiting.shift();
      if (next === undefined) running--;
      else next(); // takes the place over
    }
  };
}

async function searchOnce(clock: Pick<Clock, "sleep">, server: LdapServer, query: LdapQuery): Promise<LdapResult> {
  const unsafe = refusal(server);
  if (unsafe !== undefined) return failed(unsafe);
  const sockets: Socket[] = [];
  const ending = new AbortController();
  const late = clock.sleep(server.timeoutMs, ending.signal).then(() => failed(`no answer in ${server.timeoutMs} ms`));
  const result = await Promise.race([talk(server, query, sockets), late]);
  ending.abort();
  for (const socket of sockets) socket.destroy();
  return result;
}

/** A password, and whom mail is encrypted to, are nothing for the open network; without password a bind proves nothing. */
function refusal({ url, startTls, bind }: LdapServer): string | undefined {
  const { protocol, hostname } = URL.parse(url) ?? {};
  const local = hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname ?? "");
  if (protocol === "ldap:" && !startTls && !local) return "ldap:// without STARTTLS";
  return bind?.password === "" ? "a bind without password" : undefined; // RFC 4513 §5.1.2
}

/** The one place where ldapts' exceptions end. */
async function talk(server: LdapServer, query: LdapQuery, sockets: Socket[]): Promise<LdapResult> {
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
    return { kind: "entries", entries: searchEntries.slice(0, MOST_ENTRIES).map(valuesOf) };
  } catch (error) {
    return failed(reason(error));
  }
}

function valuesOf(entry: Readonly<Record<string, unknown>>): Buffer[] {
  return Object.values(entry).flatMap((value) => [value].flat().filter((one): one is Buffer => Buffer.isBuffer(one)));
}

function reason(error: unknown): string {
  if (error instanceof ResultCodeError) return `the directory refused: ${error.name} (${error.code})`;
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? "the connection ended" : `no connection: ${code}`;
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
