/**
 * As much of a directory server as one search needs (RFC 4511), on 127.0.0.1: bind and search, answered as a test
 * says; what it was asked is kept.
 */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { element, elementAt, elementsOf, TAG } from "../../src/mail/der.ts";

export interface LdapServerPeer extends AsyncDisposable {
  /** `ldap://127.0.0.1:PORT` */
  readonly url: string;
  readonly binds: readonly { readonly dn: string; readonly password: string }[];
  /** Values of equality filters, in order. */
  readonly searches: readonly { readonly base: string; readonly filter: Buffer }[];
  readonly answer: (how: LdapAnswers) => void;
  /** Connections so far. */
  readonly connections: () => number;
}

export interface LdapAnswers {
  /** Result code of a bind; default 0. */
  readonly bind?: number;
  /** Result code of a search; default 0. */
  readonly search?: number;
  /** Attribute values per entry. */
  readonly entries?: readonly Readonly<Record<string, readonly Buffer[]>>[];
  readonly silent?: boolean;
}

export async function startLdapServer(): Promise<LdapServerPeer> {
  const binds: { dn: string; password: string }[] = [];
  const searches: { base: string; filter: Buffer }[] = [];
  const open = new Set<Socket>();
  let how: LdapAnswers = {};
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    open.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => open.delete(socket));
    let pending: Buffer = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      for (let one = elementAt(pending, 0); one !== undefined; one = elementAt(pending, 0)) {
        pending = pending.subarray(one.whole.length);
        const [id, operation] = elementsOf(one.content) ?? [];
        if (id !== undefined && operation !== undefined && how.silent !== true) {
          for (const reply of replies(operation)) socket.write(element(TAG.sequence, id.whole, reply));
        }
      }
    });
  });

  const replies = ({ tag, content }: { tag: number; content: Buffer }): Buffer[] => {
    const parts = elementsOf(content) ?? [];
    if (tag === 0x60) {
      binds.push({ dn: String(parts[1]?.content), password: String(parts[2]?.content) });
      return [result(0x61, how.bind ?? 0)];
    }
    if (tag !== 0x63) return [];
    searches.push({ base: String(parts[0]?.content), filter: parts[6]?.whole ?? Buffer.of() });
    return [...(how.entries ?? []).map(entry), result(0x65, how.search ?? 0)];
  };

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `ldap://127.0.0.1:${port}`,
    binds,
    searches,
    answer: (next) => void (how = next),
    connections: () => connections,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

function entry(attributes: Readonly<Record<string, readonly Buffer[]>>): Buffer {
  const listed = Object.entries(attributes).map(([name, values]) =>
    element(TAG.sequence, text(name), element(0x31, ...values.map((value) => element(TAG.octetString, value)))),
  );
  return element(0x64, text("cn=someone"), element(TAG.sequence, ...listed));
}

function result(tag: number, code: number): Buffer {
  return element(tag, element(TAG.enumerated, Buffer.of(code)), text(""), text(""));
}

function text(value: string): Buffer {
  return element(TAG.octetString, Buffer.from(value));
}
