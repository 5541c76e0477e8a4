/** A transport(5) table to the routes that partner files can say: which next hops the mail of a domain goes to. Pure. */
import { type Key, parseKey } from "./key.ts";
import { type NoEntry, readTable } from "./table.ts";

export interface Route {
  readonly line: number;
  readonly text: string;
  /** `acme.example` or `.acme.example`. */
  readonly pattern: string;
  readonly hops: readonly Key[];
}

/** Transports that hand mail to no SMTP server. */
const ELSEWHERE = ["local", "virtual", "lmtp", "error", "retry", "discard", "pipe", "maildrop", "procmail", "dovecot"];

export function readRoutes(text: string): { readonly routes: readonly Route[]; readonly left: readonly NoEntry[] } {
  const routes: Route[] = [];
  const left: NoEntry[] = [];
  for (const entry of readTable(text)) {
    const read = "why" in entry ? entry : routeOf(entry);
    if (read === undefined) continue;
    if ("why" in read) left.push(read);
    else routes.push(read);
  }
  return { routes, left };
}

/** Undefined: the recipient's own MX, which is what holds here without a word. */
function routeOf(entry: { line: number; text: string; key: string; value: string }): Route | NoEntry | undefined {
  const { line, text, key, value } = entry;
  const no = (why: string): NoEntry => ({ line, text, why });
  if (key === "*") return no("is the way of everything: write it as outbound.next_hop in sealpost.yaml");
  const pattern = parseKey(key);
  if (pattern.kind !== "domain" && pattern.kind !== "below")
    return no("is not for a domain: routes of addresses are rules here");
  const [, transport = "", hop = ""] = /^([^:[\]]*)(?::(.*))?$/s.exec(value.trim()) ?? [];
  if (ELSEWHERE.includes(transport.trim().toLowerCase())) return no(`goes to ${transport}, which is no next hop`);
  const hops = hop.split(/[\s,]+/).filter((one) => one !== "");
  if (hops.length === 0) return undefined;
  const keys = hops.map((one) => parseKey(one.toLowerCase()));
  if (keys.some(({ kind }) => kind === "none" || kind === "below")) return no("has a next hop that is none here");
  return { line, text, pattern: (pattern.kind === "below" ? "." : "") + pattern.domain, hops: keys };
}
