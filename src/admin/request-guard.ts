/**
 * Whom the admin listener answers. Being on loopback is not enough: any page in a browser of this machine can send
 * requests there. So the Host must be ours (DNS rebinding), no page may be behind it (Origin), and everything but
 * health and metrics needs the token. What is not known here is denied.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { isIPv4 } from "node:net";
import type { Clock } from "../runtime/clock.ts";

export interface Asked {
  readonly address: string;
  /** The route's pattern; undefined when there is no such route. */
  readonly route: string | undefined;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly authorization: string | undefined;
}

export interface Denial {
  readonly status: 400 | 401 | 403 | 429;
  readonly reason: string;
  readonly remedy: string;
  /** Not logged one by one: the first of a series was. */
  readonly silent?: true;
}

const OPEN_ROUTES: ReadonlySet<string> = new Set(["/healthz", "/readyz", "/metrics"]);

/** Denials within this time, to one address, before a wrong token is told to wait. A right one always counts. */
const WINDOW_MS = 60_000;
const MOST_DENIED = 10;
const MOST_ADDRESSES = 1_000;

export function createRequestGuard(deps: {
  readonly token: string;
  /** What admin.address says. */
  readonly address: string;
  readonly clock: Clock;
}): (asked: Asked) => Denial | undefined {
  const expected = digest(deps.token);
  const denied = new Map<string, { since: number; count: number }>();
  const countDenied = (address: string): number => {
    const now = deps.clock.monotonic();
    if (denied.size >= MOST_ADDRESSES) denied.clear();
    const known = denied.get(address);
    const entry = known !== undefined && now - known.since < WINDOW_MS ? known : { since: now, count: 0 };
    entry.count += 1;
    denied.set(address, entry);
    return entry.count;
  };
  const judge = (asked: Asked): Denial | undefined => {
    if (!isOurHost(asked.host, deps.address)) return FOREIGN_HOST;
    if (asked.origin !== undefined) return FROM_A_PAGE;
    if (asked.route !== undefined && OPEN_ROUTES.has(asked.route)) return undefined;
    const given = /^Bearer +([\w-]{1,200}) *$/i.exec(asked.authorization ?? "")?.[1];
    if (given === undefined) return NO_TOKEN;
    // Digests have one length, and their comparison tells nothing of the token.
    return timingSafeEqual(digest(given), expected) ? undefined : WRONG_TOKEN;
  };
  return (asked) => {
    const denial = judge(asked);
    if (denial === undefined) return undefined;
    const count = countDenied(asked.address);
    const answer = denial === WRONG_TOKEN && count > MOST_DENIED ? TOO_MANY : denial;
    return count > MOST_DENIED + 1 ? { ...answer, silent: true } : answer;
  };
}

const FOREIGN_HOST: Denial = {
  status: 403,
  reason: "The Host of the request is not this listener's",
  remedy: "Ask by localhost, or by the address in admin.address.",
};
const FROM_A_PAGE: Denial = {
  status: 403,
  reason: "The request comes from a web page",
  remedy: "Send no Origin header; pages have no access.",
};
const HOW = "Send Authorization: Bearer TOKEN with the token of admin.token_file.";
const NO_TOKEN: Denial = { status: 401, reason: "The request has no token", remedy: HOW };
const WRONG_TOKEN: Denial = { status: 401, reason: "The token is wrong", remedy: HOW };
const TOO_MANY: Denial = {
  status: 429,
  reason: "Too many wrong tokens",
  remedy: "Wait a minute, then use the right one.",
};

/** The name before the port; loopback by name or address, or the address we listen on. */
function isOurHost(host: string | undefined, address: string): boolean {
  const match = /^(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::\d{1,5})?$/i.exec(host ?? "");
  const name = match?.[1]?.toLowerCase().replace(/^\[|\]$/g, "");
  if (name === undefined) return false;
  return name === "localhost" || name === "::1" || name === address || (isIPv4(name) && name.startsWith("127."));
}

function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
