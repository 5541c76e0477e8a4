/**
 * Tries every host of a destination as an attempt would, and stops before MAIL FROM: the steps are the delivery's own,
 * but for `deliver`, which ends the session. Every host is tried, not only until one passes; no mail is made up.
 */
import { countsAsTried, MOST_HOSTS, type Steps, tryHost, undertake, worse } from "./attempt.ts";
import { describeNextHop } from "./decide/decide.ts";
import type { OutboundPolicy } from "./decide/policy.ts";
import type { Published } from "./decide/published-requirement.ts";
import type { Delivery } from "./mail/delivery.ts";
import type { Host } from "./mail/host.ts";
import { parseMailDomain } from "./mail/mailbox.ts";
import { problem, type Problem } from "./mail/outcome.ts";
import type { DialogueLine } from "./mail/session.ts";
import type { TlsLevel } from "./mail/tls-requirement.ts";
import { probedHost, probeProblem, publishedHost } from "./probed-host.ts";
import { askingFor } from "./published.ts";
import type { ProbeReport, ProbeRequest, Published as PublishedReport } from "./report/probe-report.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Snapshot } from "./snapshot.ts";
import type { VerifiedSession } from "./verify/gate.ts";

/** Those of the delivery engine; `connect` may be watched. */
export type ProbeSteps = Omit<Steps<VerifiedSession>, "deliver" | "release" | "connect"> & {
  readonly connect: (
    host: Host,
    opening: Parameters<Steps<VerifiedSession>["connect"]>[1] & {
      readonly onLine: (from: DialogueLine["from"], text: string) => void;
    },
  ) => ReturnType<Steps<VerifiedSession>["connect"]>;
};

export interface ProbeDeps {
  readonly clock: Clock;
  readonly snapshot: () => Pick<Snapshot, "settings" | "decide">;
  readonly steps: ProbeSteps;
}

export interface Prober {
  /** By the policy in force for the domain. Never rejects. */
  readonly probe: (request: ProbeRequest) => Promise<ProbeReport>;
  readonly probeHops: (domain: string, outbound: OutboundPolicy) => Promise<ProbeReport>;
  /** Without connecting to any mail host. */
  readonly published: (domain: string, outbound: OutboundPolicy) => Promise<PublishedReport>;
}

/** Hosts tried at once, and in all: slow ones must not add up without end. */
const AT_ONCE = 8;
const MOST_PROBED = 40;

export function createProbe(deps: ProbeDeps): Prober {
  return {
    probe: (request) => {
      const { level } = request;
      const outbound = policyFor(deps, request.domain);
      return run({ ...deps, asksAll: true }, level === undefined ? outbound : atLevel(outbound, level), request);
    },
    probeHops: (domain, outbound) => run({ ...deps, asksAll: false }, outbound, { domain, transcript: false }),
    published: async (domain, outbound) => {
      const { found, unresolved } = await resolveAll(deps, domain, outbound);
      const ask = askAll(domain, deps.steps);
      const hosts = await Promise.all(found.map(async (host) => publishedHost(host, await ask(host))));
      return { hosts, unresolved: unresolved.map(toUnresolved) };
    },
  };
}

/** A policy for one address alone is not what a domain's mail is under. */
function policyFor({ snapshot, clock }: ProbeDeps, domain: string): OutboundPolicy {
  const { decide, settings } = snapshot();
  const parsed = parseMailDomain(domain);
  return parsed === undefined
    ? settings.policy.default
    : decide({ localPart: "postmaster", domain: parsed }, clock.now());
}

/** No line of the configuration is behind this level. */
function atLevel({ tls, origins, ...rest }: OutboundPolicy, level: TlsLevel): OutboundPolicy {
  const { "tls.level": _, ...others } = origins;
  return { ...rest, tls: { ...tls, level }, origins: others };
}

interface Unresolved {
  readonly nextHop: string;
  readonly problem: Problem<"deferred" | "failed">;
}

function toUnresolved({ nextHop, problem: { reason, detail } }: Unresolved) {
  return { nextHop, reason, detail };
}

async function resolveAll(
  { steps }: ProbeDeps,
  domain: string,
  { nextHop: hops, permitted }: OutboundPolicy,
): Promise<{ found: Host[]; unresolved: Unresolved[] }> {
  const found: Host[] = [];
  const unresolved: Unresolved[] = [];
  for (const hop of permitted ? hops : []) {
    const hosts = await steps.resolve(hop, domain);
    if ("kind" in hosts)
      unresolved.push({ nextHop: hop.kind === "mx" ? domain : describeNextHop(hop), problem: hosts });
    else found.push(...hosts);
  }
  return { found, unresolved };
}

/** `asksAll`: for what is published, whether or not the policy honours it. */
type Running = ProbeDeps & { readonly asksAll: boolean };

async function run(deps: Running, outbound: OutboundPolicy, request: ProbeRequest): Promise<ProbeReport> {
  const { domain, host: only, transcript } = request;
  const { clock } = deps;
  const { found, unresolved } = await resolveAll(deps, domain, outbound);
  const meant = found.filter(({ name, address }) => only === undefined || name === only || address === only);
  const tried = await inTurns(meant.slice(0, MOST_PROBED), (host) => probeHost(deps, outbound, domain, host));
  let counted = 0;
  const results = tried.map((one) => {
    const withinAttempt = counted < MOST_HOSTS;
    if (countsAsTried(one.trial)) counted += 1;
    return { ...one, withinAttempt };
  });
  const now = clock.now();
  const inReach = results.filter(({ withinAttempt }) => withinAttempt).map(({ trial }) => trial);
  const ok = inReach.some((trial) => "decided" in trial);
  const failures = [
    ...unresolved,
    ...inReach.flatMap((trial) => ("passed" in trial ? [{ problem: trial.passed, seen: trial.seen }] : [])),
  ];
  const nobody: Parameters<typeof worse>[1] = { problem: whyNobody(outbound, domain, only) };
  const told = failures.reduce<Parameters<typeof worse>[0]>(worse, undefined) ?? nobody;
  const levelOrigin = outbound.origins["tls.level"];
  return {
    domain,
    at: new Date(now).toISOString(),
    ok,
    ...(!ok && { problem: probeProblem(told.problem, { seen: told.seen, outbound, now }) }),
    level: outbound.tls.level,
    ...(levelOrigin && { levelOrigin }),
    partner: outbound.partner,
    source: outbound.source,
    hosts: results.map(({ dialogue, ...one }) =>
      probedHost({ ...one, outbound, now, dialogue: transcript ? dialogue : undefined }),
    ),
    unresolved: unresolved.map(toUnresolved),
  };
}

function whyNobody(
  { permitted }: OutboundPolicy,
  domain: string,
  only: string | undefined,
): Problem<"deferred" | "failed"> {
  if (!permitted) return problem("failed", "not-permitted", "Mail to this destination is not permitted here");
  const which = only === undefined ? "No host to deliver to was found" : `${only} is no mail host of ${domain}`;
  return problem("deferred", "host-not-found", which);
}

async function probeHost(deps: Running, outbound: OutboundPolicy, domain: string, host: Host) {
  const { steps, asksAll } = deps;
  const dialogue: DialogueLine[] = [];
  const onLine = (from: DialogueLine["from"], text: string): void => void dialogue.push({ from, text });
  const watched: Steps<VerifiedSession> = {
    ...steps,
    connect: (to, handshake) => steps.connect(to, { ...handshake, fresh: true, onLine }),
    deliver: () => Promise.resolve(new Map()), // here a delivery would say MAIL FROM
    release: steps.dismiss,
  };
  // A probe says what the policy demands, also where it is only reported.
  const undertaking = undertake(nothingFor(domain), { ...outbound, mode: "enforce" }, watched);
  const all = asksAll ? askAll(domain, steps)(host) : undefined;
  const trial = await tryHost(undertaking, host);
  return { trial, published: (await all) ?? trial.seen.published, dialogue };
}

/** What is published, whether or not the policy honours it. */
function askAll(domain: string, steps: ProbeSteps): (host: Host) => Promise<Published> {
  const dane = askingFor(domain, { dane: true, mtaSts: false }, steps);
  const mtaSts = askingFor(domain, { dane: false, mtaSts: true }, steps);
  return async (host) => {
    const [a, b] = await Promise.all([dane(host), mtaSts(host)]);
    return { ...a, ...b };
  };
}

/** A delivery of nothing to nobody, after a first try: then level may has its second session in clear. */
function nothingFor(domain: string): Delivery {
  const mail = { body: "7BIT", smtpUtf8: false, requireTls: false } as const;
  const client = { address: "", port: 0, helo: "", via: "internal" } as const;
  const envelope = { reversePath: null, mail, recipients: [] };
  const message = {
    id: "probe",
    envelope,
    size: 0,
    receivedAt: 0,
    listener: "",
    client,
    notice: false,
    contents: [{ size: 0 }],
  };
  return { id: "probe", domain, recipients: [], attempts: 1, expiresAt: Number.POSITIVE_INFINITY, message, content: 0 };
}

/** Answers in the order of the questions, however many are asked at once. */
async function inTurns<T, R>(items: readonly T[], run: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE)
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(run))));
  return results;
}
