/**
 * A DNS server on loopback for tests: it answers as a recursive resolver would, over UDP and TCP on one port and,
 * with a certificate, over TLS. Zones and faults are plain maps that a test may change while it runs.
 */
import dgram from "node:dgram";
import net, { type AddressInfo } from "node:net";
import tls from "node:tls";
import packet, { type Answer, type DecodedPacket, type Question } from "dns-packet";

/** All that one name holds. A name with an entry but without the type asked for is NODATA. */
export interface DnsRecords {
  readonly A?: readonly string[];
  readonly AAAA?: readonly string[];
  /** `"10 mx.acme.example"`; the null MX is `"0 ."`. */
  readonly MX?: readonly string[];
  /** One record each; a list is a record of several strings. */
  readonly TXT?: readonly (string | readonly string[])[];
  /** `"3 1 1 ab12…"`, or any bytes as RFC 3597 writes them: `"\\# 0302"`. */
  readonly TLSA?: readonly string[];
  readonly SOA?: true;
  readonly CNAME?: string;
  /** Of names below in-addr.arpa and ip6.arpa. */
  readonly PTR?: readonly string[];
  /** Seconds; 300 unless told. */
  readonly ttl?: number;
  /** AD is set when every name of the answer is secure. Unless told, the names below `signed` are. */
  readonly secure?: boolean;
}

/**
 * `truncated`: over UDP TC and no records, whole over TCP; `truncated-always`: TC and no records over both. `wrong-id`, `wrong-question` and `garbage` carry the true
 * answer's bytes otherwise; so does `wrong-port`, from another socket (over UDP). `referral`: no answer, no recursion. `no-edns`: FORMERR to queries with an OPT record.
 */
export type DnsFault =
  | "servfail"
  | "refused"
  | "silence"
  | "truncated"
  | "truncated-then-hang-up"
  | "truncated-always"
  | "wrong-id"
  | "wrong-question"
  | "wrong-port"
  | "garbage"
  | "referral"
  | "bad-version"
  | "no-edns"
  | "hang-up";

export interface DnsQuery {
  readonly name: string;
  readonly type: string;
  readonly transport: "udp" | "tcp" | "tls";
  readonly id: number;
  readonly dnssecOk: boolean;
  readonly authenticData: boolean;
}

export interface DnsPeer {
  readonly address: string;
  readonly port: number;
  /** Port of DNS over TLS; 0 without a certificate. */
  readonly tlsPort: number;
  /** By lower-case name without trailing dot. Unknown names are NXDOMAIN. */
  readonly zones: Record<string, DnsRecords>;
  /** By name, `name/TYPE`, or `*` for all. */
  readonly faults: Record<string, DnsFault>;
  /** Every query received, in order. */
  readonly queries: DnsQuery[];
  /** Connections accepted for DNS over TLS, handshake or not. */
  readonly tlsConnections: () => number;
  /** Ends every connection that is open. */
  readonly hangUp: () => void;
  readonly count: (name: string, type?: string) => number;
  readonly close: () => Promise<void>;
}

export interface DnsPeerOptions {
  /** Default 127.0.0.1. */
  readonly address?: string;
  /** PEM, for DNS over TLS. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Seconds a "no" may be cached, by the SOA record; null: no SOA record is sent. Default 60. */
  readonly negativeTtl?: number | null;
  /** Follow CNAME chains in the answer, as recursive resolvers do. Default true. */
  readonly chase?: boolean;
  /** Zones whose names are secure, those that do not exist too. Default none. */
  readonly signed?: readonly string[];
}

type Reply = Buffer | "silence" | "hang-up" | { readonly fromElsewhere: Buffer };

export async function startDnsServer(
  zones: Record<string, DnsRecords> = {},
  options: DnsPeerOptions = {},
): Promise<DnsPeer> {
  const address = options.address ?? "127.0.0.1";
  const faults: Record<string, DnsFault> = {};
  const queries: DnsQuery[] = [];
  const sockets = new Set<net.Socket>();
  let tlsConnections = 0;
  const respond = (message: Buffer, transport: DnsQuery["transport"]): Reply => {
    const query = packet.decode(message);
    const question = query.questions?.[0];
    if (question === undefined) return "silence";
    const name = question.name.toLowerCase();
    const edns = query.additionals?.find((record) => record.type === "OPT");
    queries.push({
      name,
      type: question.type,
      transport,
      id: query.id ?? 0,
      dnssecOk: edns?.type === "OPT" && edns.flag_do,
      authenticData: query.flag_ad,
    });
    const fault = faults[`${name}/${question.type}`] ?? faults[name] ?? faults["*"];
    return answerWith({ query, question, zones, options, transport }, fault);
  };

  const onStream = (transport: "tcp" | "tls") => (socket: net.Socket) => {
    let pending = Buffer.alloc(0);
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
        const end = 2 + pending.readUInt16BE(0);
        const reply = respond(pending.subarray(2, end), transport);
        pending = pending.subarray(end);
        if (reply === "hang-up") socket.destroy();
        else if (Buffer.isBuffer(reply)) {
          const length = Buffer.alloc(2);
          length.writeUInt16BE(reply.length);
          socket.write(Buffer.concat([length, reply]));
        }
      }
    });
  };

  const { udp, tcp } = await bindBoth(address);
  udp.on("message", (message, from) => {
    const reply = respond(message, "udp");
    if (Buffer.isBuffer(reply)) udp.send(reply, from.port, from.address);
    else if (typeof reply === "object") {
      const elsewhere = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");
      elsewhere.send(reply.fromElsewhere, from.port, from.address, () => elsewhere.close());
    }
  });
  tcp.on("connection", onStream("tcp"));
  const secure = options.tls === undefined ? undefined : tls.createServer(options.tls, onStream("tls"));
  if (secure !== undefined) {
    secure.on("connection", (socket) => {
      tlsConnections += 1;
      sockets.add(socket);
    });
    secure.on("tlsClientError", () => undefined);
    await new Promise<void>((resolve) => secure.listen(0, address, resolve));
  }
  return {
    address,
    port: udp.address().port,
    tlsPort: secure === undefined ? 0 : (secure.address() as AddressInfo).port,
    zones,
    faults,
    queries,
    tlsConnections: () => tlsConnections,
    hangUp: () => {
      for (const socket of sockets) socket.destroy();
    },
    count: (name, type) => queries.filter((q) => q.name === name && (type === undefined || q.type === type)).length,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await Promise.all([
        new Promise<void>((resolve) => udp.close(resolve)),
        ...[tcp, secure].map(
          (server) => new Promise<void>((resolve) => void (server?.close(() => resolve()) ?? resolve())),
        ),
      ]);
    },
  };
}

/** One port number that is free for UDP and TCP. */
async function bindBoth(address: string): Promise<{ udp: dgram.Socket; tcp: net.Server }> {
  for (let tries = 0; tries < 20; tries += 1) {
    const udp = dgram.createSocket(address.includes(":") ? "udp6" : "udp4");
    await new Promise<void>((resolve, reject) => {
      udp.once("error", reject);
      udp.bind(0, address, resolve);
    });
    const tcp = net.createServer();
    const bound = await new Promise<boolean>((resolve) => {
      tcp.once("error", () => resolve(false));
      tcp.listen(udp.address().port, address, () => resolve(true));
    });
    if (bound) return { udp, tcp };
    udp.close();
  }
  throw new Error("no port is free for both UDP and TCP");
}

interface Asked {
  readonly query: DecodedPacket;
  readonly question: Question;
  readonly zones: Record<string, DnsRecords>;
  readonly options: DnsPeerOptions;
  readonly transport: DnsQuery["transport"];
}

function answerWith(asked: Asked, fault: DnsFault | undefined): Reply {
  const { query, question } = asked;
  const hasEdns = query.additionals?.some((record) => record.type === "OPT") === true;
  switch (fault) {
    case "silence":
    case "hang-up":
      return fault;
    case "servfail":
      return encode(asked, { rcode: 2 });
    case "refused":
      return encode(asked, { rcode: 5 });
    case "no-edns":
      return hasEdns ? encode(asked, { rcode: 1 }) : encode(asked, found(asked));
    case "truncated":
      return asked.transport === "udp"
        ? encode(asked, { flags: packet.TRUNCATED_RESPONSE })
        : encode(asked, found(asked));
    case "truncated-always":
      return encode(asked, { flags: packet.TRUNCATED_RESPONSE });
    case "truncated-then-hang-up":
      return asked.transport === "udp" ? encode(asked, { flags: packet.TRUNCATED_RESPONSE }) : "hang-up";
    case "wrong-id":
      return encode({ ...asked, query: { ...query, id: ((query.id ?? 0) + 1) & 0xffff } }, found(asked));
    case "wrong-question":
      return encode({ ...asked, question: { ...question, name: `x${question.name.slice(1)}` } }, found(asked));
    case "wrong-port":
      return { fromElsewhere: encode(asked, found(asked)) };
    case "garbage": {
      const whole = encode(asked, found(asked));
      return Buffer.concat([whole.subarray(0, 12), Buffer.alloc(40, 0xff)]);
    }
    case "referral": {
      const ns: Answer = { type: "NS", name: question.name, ttl: 300, data: "ns.elsewhere.example" };
      return encode(asked, { authorities: [ns], recursion: false });
    }
    case "bad-version":
      return encode(asked, { extendedRcode: 1 });
    case undefined:
      return encode(asked, found(asked));
  }
}

interface Found {
  readonly rcode?: number;
  readonly extendedRcode?: number;
  readonly flags?: number;
  readonly answers?: Answer[];
  readonly authorities?: Answer[];
  readonly recursion?: boolean;
}

function encode({ query, question }: Asked, found: Found): Buffer {
  const recursion = found.recursion === false ? 0 : packet.RECURSION_AVAILABLE;
  return packet.encode({
    type: "response",
    id: query.id ?? 0,
    flags: packet.RECURSION_DESIRED | recursion | (found.flags ?? 0) | (found.rcode ?? 0),
    questions: [question],
    answers: found.answers ?? [],
    authorities: found.authorities ?? [],
    additionals: [
      {
        type: "OPT",
        name: ".",
        udpPayloadSize: 1232,
        extendedRcode: found.extendedRcode ?? 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  });
}

/** The records asked for, the CNAME chain that leads to them, or the "no" with its SOA (RFC 2308 §2). */
function found({ question, zones, options }: Asked): Found {
  const answers: Answer[] = [];
  let name = question.name.toLowerCase();
  let secure = true;
  for (let links = 0; links < 20; links += 1) {
    const records = zones[name];
    secure &&= records?.secure ?? isSigned(name, options);
    const flags = secure ? packet.AUTHENTIC_DATA : 0;
    if (records === undefined) return { rcode: 3, answers, authorities: soa(name, options), flags };
    const ttl = records.ttl ?? 300;
    if (records.CNAME !== undefined && question.type !== "CNAME") {
      answers.push({ type: "CNAME", name, ttl, data: records.CNAME });
      if (options.chase === false) return { answers, flags };
      name = records.CNAME.toLowerCase();
      continue;
    }
    const own = ownRecords(question, name, records, ttl);
    if (own.length === 0) return { answers, authorities: soa(name, options), flags };
    return { answers: [...answers, ...own], flags };
  }
  return { answers };
}

function isSigned(name: string, { signed = [] }: DnsPeerOptions): boolean {
  return signed.some((zone) => name === zone || name.endsWith(`.${zone}`));
}

function ownRecords(question: Question, name: string, records: DnsRecords, ttl: number): Answer[] {
  switch (question.type) {
    case "A":
    case "AAAA":
      return (records[question.type] ?? []).map((data) => ({ type: question.type as "A" | "AAAA", name, ttl, data }));
    case "MX":
      return (records.MX ?? []).map((text) => {
        const [preference = "", exchange = ""] = text.split(" ");
        return { type: "MX", name, ttl, data: { preference: Number(preference), exchange } };
      });
    case "TXT":
      return (records.TXT ?? []).map((data) => ({ type: "TXT", name, ttl, data: [data].flat() }));
    case "TLSA":
      return (records.TLSA ?? []).map((text) => tlsa(text, name, ttl));
    case "SOA":
      return records.SOA === undefined ? [] : soa(name, {});
    case "CNAME":
      return records.CNAME === undefined ? [] : [{ type: "CNAME", name, ttl, data: records.CNAME }];
    case "PTR":
      return (records.PTR ?? []).map((data) => ({ type: "PTR", name, ttl, data }));
    default:
      return [];
  }
}

function tlsa(text: string, name: string, ttl: number): Answer {
  const fields = text.split(" ");
  const [usage, selector, matchingType] = fields.map(Number);
  const data = Buffer.from(fields.at(-1) ?? "", "hex");
  // dns-packet encodes the numbers of types it is told, but has no types for them.
  if (fields[0] === "\\#") return { type: "UNKNOWN_52", name, ttl, data } as unknown as Answer;
  const bytes = { usage: usage ?? 0, selector: selector ?? 0, matchingType: matchingType ?? 0, certificate: data };
  return { type: "TLSA", name, ttl, data: bytes };
}

function soa(name: string, options: DnsPeerOptions): Answer[] {
  if (options.negativeTtl === null) return [];
  const minimum = options.negativeTtl ?? 60;
  const zone = name === "." ? name : name.split(".").slice(-2).join(".");
  const data = {
    mname: "ns.example",
    rname: "hostmaster.example",
    serial: 1,
    refresh: 1,
    retry: 1,
    expire: 1,
    minimum,
  };
  return [{ type: "SOA", name: zone, ttl: 3600, data }];
}
