/**
 * One small HTTP request to an address that stands in a certificate of an outsider: bounded in time and size, to
 * public addresses only, and to the very address that was checked. Never rejects.
 */
import { type IncomingMessage, request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { BlockList, isIP, isIPv4, isIPv6 } from "node:net";
import { type DomainName, parseDomainName } from "../mail/domain-name.ts";
import type { Clock } from "../runtime/clock.ts";

export interface OutsideRequest {
  readonly url: string;
  /** POST with this body; absent: GET. */
  readonly body?: Buffer;
  readonly contentType?: string;
  /** Octets of the answer. */
  readonly limit: number;
  readonly timeoutMs: number;
}

export type OutsideAnswer =
  | { readonly kind: "body"; readonly body: Buffer }
  | { readonly kind: "failed"; readonly detail: string };

export type AskOutside = (request: OutsideRequest) => Promise<OutsideAnswer>;

export interface OutsideHttpDeps {
  readonly clock: Pick<Clock, "after">;
  readonly resolveAddresses: (
    host: DomainName,
  ) => Promise<{ readonly addresses: readonly string[]; readonly failure?: string }>;
  /** `smime.revocation.allow_private`, asked at each request. */
  readonly allowPrivate: () => boolean;
}

const MOST_ADDRESSES = 3;
const MOST_REDIRECTS = 3;

export function createOutsideHttp(deps: OutsideHttpDeps): AskOutside {
  return async (request) => {
    const ending = new AbortController();
    const late = failed(`did not answer within ${request.timeoutMs} ms`);
    let cancel = (): void => undefined;
    const deadline = new Promise<OutsideAnswer>((resolve) => {
      cancel = deps.clock.after(request.timeoutMs, () => {
        ending.abort();
        resolve(late);
      });
    });
    try {
      const answer = await Promise.race([follow(deps, request, ending.signal), deadline]);
      return answer.kind === "failed" && ending.signal.aborted ? late : answer;
    } finally {
      cancel();
    }
  };
}

async function follow(deps: OutsideHttpDeps, request: OutsideRequest, ending: AbortSignal): Promise<OutsideAnswer> {
  let url = URL.parse(request.url);
  for (let hop = 0; hop <= MOST_REDIRECTS; hop++) {
    if (url === null) return failed("has no readable address");
    const answer: Got = await ask(deps, { ...request, at: url, ending });
    if (answer.kind !== "moved") return answer;
    const next = URL.parse(answer.location, url.href);
    if (request.body !== undefined || next?.protocol !== url.protocol) return failed("leads elsewhere");
    url = next;
  }
  return failed("leads around in circles");
}

type Got = OutsideAnswer | { readonly kind: "moved"; readonly location: string };

interface Asked extends OutsideRequest {
  readonly at: URL;
  readonly ending: AbortSignal;
}

async function ask(deps: OutsideHttpDeps, asked: Asked): Promise<Got> {
  const { at } = asked;
  const refused = refusal(at, deps.allowPrivate());
  if (refused !== undefined) return failed(refused);
  const literal = at.hostname.replace(/^\[|\]$/g, "");
  const host = isIP(literal) === 0 ? parseDomainName(at.hostname) : undefined;
  if (isIP(literal) === 0 && host === undefined) return failed("has no readable host name");
  const { addresses, failure } = host === undefined ? { addresses: [literal] } : await deps.resolveAddresses(host);
  const open = deps.allowPrivate() ? addresses : addresses.filter(isPublic);
  if (addresses.length === 0) return failed(failure ?? `${at.hostname} has no address in DNS`);
  let answer: Got = failed(`${at.hostname} is an address of a private network`);
  for (const address of open.slice(0, MOST_ADDRESSES)) {
    answer = await send(asked, address);
    if (answer.kind !== "failed" || asked.ending.aborted) break;
  }
  return answer;
}

/** Ports of other services are none of a certificate's business. */
function refusal({ protocol, port, username, password }: URL, allowPrivate: boolean): string | undefined {
  if (protocol !== "http:" && protocol !== "https:") return `is no address for HTTP (${protocol})`;
  if (username !== "" || password !== "") return "carries a password";
  const well = port !== "" && Number(port) < 1024 && !["80", "443"].includes(port);
  return well && !allowPrivate ? `names port ${port}, which is not for HTTP` : undefined;
}

function send(asked: Asked, address: string): Promise<Got> {
  const { at, body, contentType, ending } = asked;
  const options = {
    host: address,
    family: isIPv6(address) ? 6 : 4,
    port: at.port === "" ? (at.protocol === "https:" ? 443 : 80) : Number(at.port),
    path: at.pathname + at.search,
    method: body === undefined ? "GET" : "POST",
    headers: {
      host: at.host,
      connection: "close",
      ...(body !== undefined && { "content-length": body.length, "content-type": contentType }),
    },
    agent: false as const,
    signal: ending,
    maxHeaderSize: 16_384,
  };
  return new Promise((resolve) => {
    const onResponse = (response: IncomingMessage): void => receive(response, asked.limit, resolve);
    const sent =
      at.protocol === "https:"
        ? httpsRequest({ ...options, servername: isIP(at.hostname) === 0 ? at.hostname : "" }, onResponse)
        : httpRequest(options, onResponse);
    sent.on("error", ({ code }: NodeJS.ErrnoException) => resolve(failed(`cannot be reached: ${code ?? "no HTTP"}`)));
    sent.end(body);
  });
}

function receive(response: IncomingMessage, limit: number, resolve: (got: Got) => void): void {
  const finish = (got: Got): void => {
    resolve(got);
    response.destroy();
  };
  const { statusCode = 0, headers } = response;
  response.on("error", () => resolve(failed("broke off its answer")));
  if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
    return finish({ kind: "moved", location: headers.location });
  }
  if (statusCode !== 200) return finish(failed(`answered ${statusCode}`));
  const tooLarge = failed(`sends more than ${limit} octets`);
  if (Number(headers["content-length"] ?? 0) > limit) return finish(tooLarge);
  const chunks: Buffer[] = [];
  let size = 0;
  response.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size > limit) finish(tooLarge);
    else chunks.push(chunk);
  });
  response.once("close", () => resolve(failed("broke off its answer")));
  response.once("end", () => finish({ kind: "body", body: Buffer.concat(chunks) }));
}

function failed(detail: string): OutsideAnswer {
  return { kind: "failed", detail };
}

/** RFC 6890 and its successors: this host, our networks, links, groups, documentation, tunnels that end anywhere. */
const INSIDE: readonly (readonly [string, number, "ipv4" | "ipv6"])[] = [
  ["0.0.0.0", 8, "ipv4"],
  ["10.0.0.0", 8, "ipv4"],
  ["100.64.0.0", 10, "ipv4"],
  ["127.0.0.0", 8, "ipv4"],
  ["169.254.0.0", 16, "ipv4"],
  ["172.16.0.0", 12, "ipv4"],
  ["192.0.0.0", 24, "ipv4"],
  ["192.0.2.0", 24, "ipv4"],
  ["192.88.99.0", 24, "ipv4"],
  ["192.168.0.0", 16, "ipv4"],
  ["198.18.0.0", 15, "ipv4"],
  ["198.51.100.0", 24, "ipv4"],
  ["203.0.113.0", 24, "ipv4"],
  ["224.0.0.0", 3, "ipv4"],
  ["2001::", 23, "ipv6"],
  ["2001:db8::", 32, "ipv6"],
  ["2002::", 16, "ipv6"],
];

/** Of IPv6 only global unicast (RFC 4291 §2.4), and what carries a public IPv4 address to a NAT64 (RFC 6052 §2.1). */
export function isPublic(address: string): boolean {
  const inside = new BlockList();
  for (const [network, prefix, family] of INSIDE) inside.addSubnet(network, prefix, family);
  if (isIPv4(address)) return !inside.check(address, "ipv4");
  if (!isIPv6(address)) return false;
  const carried = natCarried(address);
  if (carried !== undefined) return !inside.check(carried, "ipv4");
  const global = new BlockList();
  global.addSubnet("2000::", 3, "ipv6");
  return global.check(address, "ipv6") && !inside.check(address, "ipv6");
}

/** `64:ff9b::c000:221` carries 192.0.2.33; written with dots or without. */
function natCarried(address: string): string | undefined {
  const rest = /^64:ff9b::([0-9a-f:.]*)$/i.exec(address)?.[1];
  if (rest === undefined) return undefined;
  if (rest.includes(".")) return rest;
  const words = rest.split(":").map((word) => Number.parseInt(word || "0", 16));
  const value = (words.at(-2) ?? 0) * 65_536 + (words.at(-1) ?? 0);
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
}
