/**
 * Revocation lists, fetched from where certificates say and kept until their own end, a day at most; a failure for
 * five minutes. A long list goes on arriving after those who asked first have given up. Bounded in number and size.
 */
import type { Clock } from "../runtime/clock.ts";
import { createBoundedCache, keptUntil } from "./bounded-cache.ts";
import { readRevocationList, type RevocationList, type UnusableList } from "./crl.ts";
import type { CertificateId } from "./ocsp.ts";
import type { AskOutside } from "./outside-http.ts";

export interface ListRequest {
  readonly url: string;
  readonly id: CertificateId;
  /** All places that the certificate names. */
  readonly urls: readonly string[];
  readonly authority: boolean;
}

export interface ListLimits {
  /** How long one answer is waited for. */
  readonly timeoutMs: number;
  /** How long a list may take to arrive. */
  readonly listTimeoutMs: number;
  readonly listOctets: number;
  /** Lists kept, in all. */
  readonly cacheOctets: number;
}

/** Never rejects. */
export type FetchList = (request: ListRequest) => Promise<RevocationList | UnusableList>;

const FAILURE_MS = 300_000;
const MOST_FAILURES = 1000;
const MOST_AT_ONCE = 3;

export interface ListFetchDeps {
  readonly clock: Pick<Clock, "now" | "sleep">;
  readonly ask: AskOutside;
  readonly limits: ListLimits;
}

export function createListFetch({ clock, ask, limits }: ListFetchDeps): FetchList {
  const lists = createBoundedCache<RevocationList>(clock, limits.cacheOctets, ({ size }) => size);
  const failures = createBoundedCache<UnusableList>(clock, MOST_FAILURES);
  const arriving = new Map<string, Promise<RevocationList | UnusableList>>();

  const arrive = async (key: string, { url, id, urls, authority }: ListRequest) => {
    const got = await ask({ url, limit: limits.listOctets, timeoutMs: limits.listTimeoutMs });
    const scope = { urls, authority, now: clock.now() };
    const list = got.kind === "body" ? await readRevocationList(got.body, id, scope) : unusable(got.detail);
    if (list.kind === "list") lists.put(key, list, keptUntil(clock.now(), list.until));
    else failures.put(key, list, clock.now() + FAILURE_MS);
    return list;
  };

  return async (request) => {
    // What a list may be used for depends on who asks, so that stands in the key as well.
    const key = JSON.stringify([request.url, request.id.issuer.fingerprint256, request.authority, request.urls]);
    const known = lists.get(key) ?? failures.get(key);
    if (known !== undefined) return known;
    let running = arriving.get(key);
    if (running === undefined) {
      if (arriving.size >= MOST_AT_ONCE) return unusable("has to wait for other lists");
      running = arrive(key, request).finally(() => arriving.delete(key));
      arriving.set(key, running);
    }
    const ending = new AbortController();
    const late = unusable(`did not arrive within ${limits.timeoutMs} ms`);
    const found = await Promise.race([running, clock.sleep(limits.timeoutMs, ending.signal).then(() => late)]);
    ending.abort();
    return found;
  };
}

function unusable(detail: string): UnusableList {
  return { kind: "unusable", detail };
}
