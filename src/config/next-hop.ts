/** The written forms of `next_hop` and of resolvers: where a name, an address and a port end. Pure. */
import { isIP, isIPv6 } from "node:net";
import type { ResolverAddress } from "../connect/settings.ts";
import { parseDomainName } from "../mail/domain-name.ts";
import type { Flaw } from "./problems.ts";
import { shown } from "./problems.ts";

/** A next hop as written; `port` is absent where the default holds. */
export type HopText =
  | { readonly kind: "mx" }
  | { readonly kind: "mx-of"; readonly domain: string; readonly port?: number }
  | { readonly kind: "host"; readonly host: string; readonly port?: number };

/** `mx`, `[host]:port`, `[host]`, `domain`, `domain:port`. IPv6 addresses stand in brackets, `IPv6:` optional. */
export function parseNextHop(text: string): HopText | Flaw {
  if (text === "mx") return { kind: "mx" };
  const bracketed = /^\[([^[\]]+)\](?::(.*))?$/.exec(text);
  if (bracketed?.[1] !== undefined) return bracketedHop(text, bracketed[1], bracketed[2]);
  const [name = "", portText, ...rest] = text.split(":");
  if (isIP(text) !== 0 || isIP(name) !== 0) {
    const address = isIP(text) !== 0 ? text : name;
    const port = isIP(text) !== 0 ? "25" : (portText ?? "25");
    return { message: `${shown(text)} is an address, which has no MX`, remedy: `write "[${address}]:${port}"` };
  }
  const domain = parseDomainName(name);
  if (domain === undefined || rest.length > 0) return notNextHop(text);
  if (portText === undefined) return { kind: "mx-of", domain };
  const port = parsePort(portText);
  return port === undefined ? badPort(portText) : { kind: "mx-of", domain, port };
}

function bracketedHop(text: string, inside: string, portText: string | undefined): HopText | Flaw {
  const bare = inside.replace(/^ipv6:/i, "");
  const host = isIP(bare) !== 0 && !bare.includes("%") ? bare.toLowerCase() : parseDomainName(inside);
  if (host === undefined || (bare !== inside && !isIPv6(bare))) return notNextHop(text);
  if (portText === undefined) return { kind: "host", host };
  const port = parsePort(portText);
  return port === undefined ? badPort(portText) : { kind: "host", host, port };
}

function notNextHop(text: string): Flaw {
  return {
    message: `${shown(text)} is not a next hop`,
    remedy: 'write mx, "[host.example]:25", "[192.0.2.1]:25", "[2001:db8::1]:25", a domain, or domain:port',
  };
}

function badPort(text: string): Flaw {
  return { message: `${shown(text)} is not a port`, remedy: "write a number from 1 to 65535" };
}

export function parsePort(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** `127.0.0.1`, `10.0.0.1:5353`, `[::1]:53`, `tls://9.9.9.9#dns.quad9.net`, `tls://9.9.9.9:853#name`. */
export function parseResolver(text: string): ResolverAddress | undefined {
  const tls = /^tls:\/\/([^#]+)#(.+)$/.exec(text);
  const endpoint = parseEndpoint(tls?.[1] ?? text, tls === null ? 53 : 853);
  if (endpoint === undefined) return undefined;
  if (tls === null) return { transport: "udp", ...endpoint };
  const name = parseDomainName(tls[2] ?? "");
  return name === undefined ? undefined : { transport: "tls", ...endpoint, name };
}

function parseEndpoint(text: string, defaultPort: number): { address: string; port: number } | undefined {
  if (isIP(text) !== 0) return { address: text, port: defaultPort };
  const [, v6, v4, portText] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::(\d+))?$/.exec(text) ?? [];
  const address = v6 ?? v4;
  if (address === undefined || isIP(address) !== (v6 === undefined ? 4 : 6)) return undefined;
  const port = portText === undefined ? defaultPort : parsePort(portText);
  return port === undefined ? undefined : { address, port };
}
