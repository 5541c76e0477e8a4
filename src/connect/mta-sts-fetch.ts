/**
 * Fetches the policy of one domain over HTTPS (RFC 8461 §3.3): its host's own name and a trusted authority must vouch
 * for every byte. One address after the other, within one minute. Asks nothing of a host that is not proven.
 */
import { X509Certificate } from "node:crypto";
import { connect, createSecureContext, getCACertificates, type SecureContext, type TLSSocket } from "node:tls";
import { type DomainName, parseDomainName } from "../mail/domain-name.ts";
import type { Clock } from "../runtime/clock.ts";
import { failed, type Fetched, getPolicy, type Unavailable, untrusted } from "./mta-sts-answer.ts";

/** Never rejects. */
export type FetchPolicy = (domain: DomainName, stopping: AbortSignal) => Promise<Fetched>;

export interface PolicyFetchDeps {
  readonly clock: Clock;
  /** Addresses of a host name, in the order in which they are tried; `failure`: why a look-up failed. */
  readonly resolveAddresses: (
    host: DomainName,
  ) => Promise<{ readonly addresses: readonly string[]; readonly failure?: string }>;
  /** PEM authorities, or "system" for those of the machine. Read at each fetch. */
  readonly trust: () => readonly string[] | "system";
  /** 443 unless a test says otherwise. */
  readonly port?: number;
  readonly limits?: Partial<FetchLimits>;
}

export interface FetchLimits {
  /** For one address: TCP and TLS handshake. */
  readonly handshakeMs: number;
  /** For all of it (RFC 8461 §3.3: one minute). */
  readonly overallMs: number;
}

const LIMITS: FetchLimits = { handshakeMs: 10_000, overallMs: 60_000 };
const MOST_ADDRESSES = 6;

export function createPolicyFetch(deps: PolicyFetchDeps): FetchPolicy {
  const contextOf = lastContext();
  return async (domain, stopping) => {
    const host = parseDomainName(`mta-sts.${domain}`);
    if (host === undefined) return failed(`mta-sts.${domain} is too long for a host name`);
    const { handshakeMs, overallMs } = { ...LIMITS, ...deps.limits };
    const ending = new AbortController();
    const end = (): void => ending.abort();
    const cancel = deps.clock.after(overallMs, end);
    stopping.addEventListener("abort", end, { once: true });
    if (stopping.aborted) end();
    try {
      const within = { ...deps, host, handshakeMs, ending: ending.signal, context: contextOf(deps.trust()) };
      const found = await fetchFrom(within);
      if (stopping.aborted) return { kind: "stopped" };
      return ending.signal.aborted && found.kind !== "policy"
        ? failed(`${host} took longer than ${overallMs} ms`)
        : found;
    } finally {
      cancel();
      stopping.removeEventListener("abort", end);
    }
  };
}

interface Within extends Pick<PolicyFetchDeps, "clock" | "resolveAddresses" | "port"> {
  readonly host: DomainName;
  readonly handshakeMs: number;
  readonly ending: AbortSignal;
  readonly context: SecureContext;
}

/** One address after the other until one has proven to be the policy host: what that one says is the answer. */
async function fetchFrom(within: Within): Promise<Fetched> {
  const { host, ending } = within;
  const { addresses, failure } = await untilAborted(within.resolveAddresses(host), ending);
  let worst = failed(failure ?? `${host} has no address in DNS`);
  for (const address of addresses.slice(0, MOST_ADDRESSES)) {
    if (ending.aborted) break;
    const socket = await handshake(within, address);
    if (!("kind" in socket)) return getPolicy(socket, host, ending);
    // A host with a wrong certificate says more than one that is down.
    if (worst.result !== "sts-webpki-invalid") worst = socket;
  }
  return worst;
}

/** A look-up cannot be cut short; what it says after the end is not waited for. */
function untilAborted<T extends { addresses: readonly string[]; failure?: string }>(
  found: Promise<T>,
  ending: AbortSignal,
): Promise<{ readonly addresses: readonly string[]; readonly failure?: string }> {
  const aborted = new Promise<{ addresses: readonly string[] }>((resolve) => {
    const give = (): void => resolve({ addresses: [] });
    ending.addEventListener("abort", give, { once: true });
    if (ending.aborted) give();
  });
  return Promise.race([found, aborted]);
}

/** Resolves with a connected socket whose certificate is valid for the host. */
function handshake(within: Within, address: string): Promise<TLSSocket | Unavailable> {
  const { host, clock, handshakeMs, ending, context, port = 443 } = within;
  return new Promise((resolve) => {
    const socket = connect({
      host: address,
      port,
      servername: host,
      secureContext: context,
      ALPNProtocols: ["http/1.1"],
      checkServerIdentity: (_, { raw }) => nameProblem(raw, host),
    });
    const where = `${host} (${address}, port ${port})`;
    const finish = (result: TLSSocket | Unavailable): void => {
      cancel();
      ending.removeEventListener("abort", onAbort);
      if ("kind" in result) socket.destroy();
      resolve(result);
    };
    const onAbort = (): void => finish(failed(`${where} was given up`));
    const cancel = clock.after(handshakeMs, () => finish(failed(`${where} did not answer in time`)));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const why = socket.authorizationError as unknown;
      // Set as soon as the certificate was judged, and only then.
      if (typeof why === "string" && why !== "") finish(untrusted(`The certificate of ${where} is not valid: ${why}`));
      else finish(failed(`${where} cannot be reached: ${error.code ?? error.name}`));
    });
    socket.once("close", () => finish(failed(`${where} hung up`)));
    socket.once("secureConnect", () =>
      finish(socket.authorized ? socket : untrusted(`The certificate of ${where} was not verified`)),
    );
    ending.addEventListener("abort", onAbort, { once: true });
    if (ending.aborted) onAbort();
  });
}

/** RFC 8461 §3.3: a DNS-ID must match, the common name does not count; `*` only as a whole leftmost label. */
function nameProblem(raw: Buffer, host: string): Error | undefined {
  const rules = { subject: "never", partialWildcards: false, multiLabelWildcards: false } as const;
  if (new X509Certificate(raw).checkHost(host, rules) !== undefined) return undefined;
  return Object.assign(new Error(`The certificate does not name ${host}`), { code: "ERR_TLS_CERT_ALTNAME_INVALID" });
}

/** Loading authorities costs more than a handshake: the last context is kept while they are the same. */
function lastContext(): (trust: readonly string[] | "system") => SecureContext {
  let last: { readonly trust: readonly string[] | "system"; readonly context: SecureContext } | undefined;
  return (trust) => {
    if (last?.trust !== trust) last = { trust, context: contextFor(trust) };
    return last.context;
  };
}

function contextFor(trust: readonly string[] | "system"): SecureContext {
  const system = trust === "system" ? getCACertificates("system") : [];
  const authorities = trust === "system" ? (system.length > 0 ? system : getCACertificates("bundled")) : trust;
  return createSecureContext({
    ca: [...authorities],
    minVersion: "TLSv1.2",
    // A pinned intermediate is an anchor of its own (X509_V_FLAG_PARTIAL_CHAIN).
    ...(trust !== "system" && { allowPartialTrustChain: true }),
  });
}
