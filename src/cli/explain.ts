/**
 * `sealpost explain ADDRESS`: the policy for one recipient, by the same functions that judge its mail: each demand, the
 * line it comes from, and in a sentence what a session must prove; and what the destination publishes, as DNS has it.
 */
import type { Settings } from "../config/settings.ts";
import { decisions, describeNextHop } from "../decide/decide.ts";
import { honoured } from "../decide/demand.ts";
import type { MatchEntry, Origin, OutboundPolicy, Policy } from "../decide/policy.ts";
import { formatDomain, formatMailbox, type Mailbox, parseMailbox } from "../mail/mailbox.ts";
import type { TlsLevel } from "../mail/tls-requirement.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { explainHeaders } from "./explain-headers.ts";
import { aliasFact, rulesFact, tlsRequiredFact } from "./explain-message.ts";
import { expiryFact, modeFact } from "./explain-mode.ts";
import { headersFact, dkimFact, smimeFact } from "./explain-treatment.ts";
import { clientCertificateFact, pinsFact, trustFact } from "./explain-trust.ts";
import { day, type Fact } from "./fact.ts";
import { publishedLines } from "./probe-text.ts";
import { loadSettings, shownPath } from "./settings.ts";
import { exactDuration, painter, printable, wrapped } from "./text.ts";

export interface ExplainOptions {
  readonly address: string;
  /** Asks no resolver. */
  readonly offline?: boolean;
  /** A file with a message: shows what becomes of its header, and nothing else. */
  readonly headers?: string;
  readonly sender?: string;
}

export async function explain(deps: CliDeps, common: Common, options: ExplainOptions): Promise<ExitCode> {
  const { address, offline = false } = options;
  const recipient = parseMailbox(address);
  if (recipient === undefined)
    return refuse(deps, EXIT.usage, [`${JSON.stringify(address)} is no address. Write one, as anna@acme.example.`]);
  const { headers: file, sender } = options;
  if (file !== undefined)
    return explainHeaders(deps, common, recipient, { file, ...(sender !== undefined && { sender }) });
  if (sender !== undefined) return refuse(deps, EXIT.usage, ["--sender belongs to --headers FILE."]);
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  const now = deps.clock.now();
  const outbound = decisions(settings.policy)(recipient, now);
  const asked = { policy: settings.policy, outbound, recipient, now };
  const published = offline || !outbound.permitted ? [] : [await publishedFact(deps, settings, asked)];
  const mode = outbound.permitted ? await modeFact(deps, settings, outbound) : undefined;
  const [source, ...rest] = factsOf(deps, asked);
  const told = mode && { ...mode, ...originOf(deps, outbound, "mode") };
  const facts = [source, told, ...rest, ...published].filter((fact) => fact !== undefined);
  if (common.json) printJson(deps, asJson(recipient, facts));
  else print(deps, recipient, facts);
  return EXIT.good;
}

function asJson(recipient: Mailbox, facts: readonly Fact[]): object {
  const values = facts.map(({ key, value }) => [key, value] as const);
  const origins = facts.flatMap(({ key, origin }) => (origin === undefined ? [] : [[key, origin] as const]));
  return {
    recipient: formatMailbox(recipient),
    ...Object.fromEntries(values),
    origins: Object.fromEntries(origins),
  };
}

interface Asked {
  readonly policy: Policy;
  readonly outbound: OutboundPolicy;
  readonly recipient: Mailbox;
  readonly now: number;
}

function factsOf(deps: CliDeps, asked: Asked): Fact[] {
  const { outbound } = asked;
  const facts: (Fact | undefined)[] = [
    {
      key: "source",
      label: "policy",
      value: { source: outbound.source, partner: outbound.partner },
      text: sourceText(outbound),
    },
    outbound.permitted
      ? undefined
      : {
          key: "permitted",
          label: "refused",
          value: false,
          text: "outbound.unlisted is refuse, and no partner file names this destination",
        },
    ...(outbound.permitted ? wayFacts(deps, asked) : []),
  ];
  return facts.filter((fact) => fact !== undefined);
}

/** What mail for it must meet, and what is done to it. */
function wayFacts(deps: CliDeps, asked: Asked): (Fact | undefined)[] {
  const { policy, outbound, recipient, now } = asked;
  const { tls, exception } = outbound;
  const at = (path: string) => originOf(deps, outbound, path);
  const hops = outbound.nextHop.map((hop) => (hop.kind === "mx" ? "mx" : describeNextHop(hop)));
  return [
    exception && exceptionFact(deps, exception, now),
    { key: "nextHop", label: "next hop", value: hops, text: hopText(asked, hops), ...at("next_hop") },
    { key: "level", label: "level", value: tls.level, text: tls.level, ...at("tls.level") },
    { key: "proof", label: "", value: PROOF[tls.level], text: PROOF[tls.level] },
    honoursFact(tls, tls.dane === "honour" ? at("tls.mta_sts") : at("tls.dane")),
    tlsRequiredFact(outbound, at("tls.tls_required_no")),
    CHECKS_NAMES.has(tls.level) ? namesFact(asked, at("tls.match")) : undefined,
    CHECKS_NAMES.has(tls.level) ? trustFact(outbound, at("tls.ca")) : undefined,
    tls.level === "fingerprint" ? pinsFact(tls.fingerprints, now, at("tls.fingerprints")) : undefined,
    tls.level === "none"
      ? undefined
      : { key: "minVersion", label: "at least", value: tls.minVersion, text: tls.minVersion, ...at("tls.min_version") },
    tls.level === "none"
      ? undefined
      : { key: "profile", label: "profile", value: tls.profile.name, text: tls.profile.name, ...at("tls.profile") },
    tls.servername === undefined
      ? undefined
      : { key: "servername", label: "SNI", value: tls.servername, text: tls.servername, ...at("tls.servername") },
    clientCertificateFact(outbound, at("tls.client_certificate")),
    aliasFact(policy, (origin) => place(deps, origin)),
    rulesFact(policy, recipient, (origin) => place(deps, origin)),
    lifetimeFact(asked, at("lifetime")),
    expiryFact(outbound, at("on_expiry")),
    headersFact(outbound.treatment, at),
    smimeFact(outbound.treatment, at),
    dkimFact(outbound.treatment, at),
  ];
}

function lifetimeFact({ policy, outbound }: Asked, origin: { origin?: string }): Fact {
  const { lifetimeMs } = outbound;
  const shorter = policy.bounceLifetimeMs < lifetimeMs ? policy.bounceLifetimeMs : undefined;
  const text = `${exactDuration(lifetimeMs)}${shorter === undefined ? "" : `; of mail without a sender ${exactDuration(shorter)}`}`;
  return { key: "lifetimeMs", label: "lifetime", value: lifetimeMs, text, ...origin };
}

/** Asked for whatever the level: what is there can be demanded. */
async function publishedFact(deps: CliDeps, settings: Settings, { recipient, outbound }: Asked): Promise<Fact> {
  const outside = deps.openOutside(settings);
  try {
    const value = await outside.published(formatDomain(recipient.domain), outbound);
    return { key: "published", label: "published", value, text: publishedLines(value).join("\n") };
  } finally {
    await outside.close();
  }
}

/** What a session must prove before mail crosses it (contract, section 4). */
const PROOF: Readonly<Record<TlsLevel, string>> = {
  none: "TLS is not tried: mail crosses in clear.",
  may: "Nothing of itself. TLS is used where it is offered; after a failed handshake and a retry mail crosses in clear.",
  encrypt: "The session is encrypted; the peer may be anybody. Without TLS the mail waits.",
  verify:
    "The session is encrypted, the certificate is valid under the trusted CAs, and it has one of the names below.",
  secure: "The same as verify, and no name may come from DNS, where it could be forged.",
  fingerprint: "The session is encrypted, and the certificate or its public key is one of those pinned below.",
  authenticated: "The peer proves who it is by DANE, MTA-STS or its certificate.",
  "dane-only": "The peer proves who it is by DANE (RFC 7672).",
};

const CHECKS_NAMES: ReadonlySet<TlsLevel> = new Set(["verify", "secure", "authenticated"]);

function sourceText({ source, partner }: OutboundPolicy): string {
  switch (source) {
    case "partner":
      return `partner ${partner ?? ""}`;
    case "exception":
      return partner === null ? "an exception to the default" : `an exception of partner ${partner}`;
    case "own-domain":
      return "one of our own domains";
    case "default":
      return "the default: no partner file names this destination";
  }
}

function exceptionFact(deps: CliDeps, exception: NonNullable<OutboundPolicy["exception"]>, now: number): Fact {
  const { approvedBy, reason, endsAt, origin } = exception;
  const until = day(endsAt - 1);
  const left = exactDays(endsAt - now);
  const text = `until ${until} (${left}), approved by ${approvedBy}: ${reason}`;
  return {
    key: "exception",
    label: "exception",
    value: { until, approvedBy, reason },
    text,
    origin: place(deps, origin),
  };
}

function exactDays(ms: number): string {
  const days = Math.ceil(ms / 86_400_000);
  return days === 1 ? "its last day" : `${days} days left`;
}

function hopText({ recipient }: Asked, hops: readonly string[]): string {
  return hops.map((hop) => (hop === "mx" ? `the MX of ${formatDomain(recipient.domain)}` : hop)).join(", then ");
}

/** What the destination's own publications add, by the function that lets them. */
function honoursFact(tls: OutboundPolicy["tls"], origin: { origin?: string }): Fact | undefined {
  if (tls.level === "none") return undefined;
  const value = honoured(tls);
  const asked = [...(value.dane ? ["DANE"] : []), ...(value.mtaSts ? ["MTA-STS"] : [])].join(" and ");
  const text =
    asked === ""
      ? "nothing that the destination publishes"
      : `what the destination publishes by ${asked}${tls.mtaSts === "require" ? "; an announced policy must be had" : ""}`;
  return { key: "honours", label: "besides", value, text, ...origin };
}

/** The names as they come out for this recipient, as far as that is known before DNS is asked. */
function namesFact({ outbound, recipient }: Asked, origin: { origin?: string }): Fact {
  const { level, match } = outbound.tls;
  const signed: MatchEntry[] = level === "authenticated" ? ["hostname"] : [];
  const fallback: MatchEntry[] = level === "verify" ? ["hostname"] : ["nexthop", "dot-nexthop", ...signed];
  const entries = match.length > 0 ? match : fallback;
  const [hop] = outbound.nextHop;
  const nextHop =
    hop === undefined || hop.kind === "mx"
      ? formatDomain(recipient.domain)
      : hop.kind === "host"
        ? hop.host
        : hop.domain;
  const value = entries.map((entry) => nameOf(entry, level, nextHop, hop?.kind === "host" ? hop.host : undefined));
  return { key: "names", label: "names", value, text: value.join(", "), ...origin };
}

function nameOf(entry: MatchEntry, level: TlsLevel, nextHop: string, host: string | undefined): string {
  if (entry === "hostname")
    return host ?? `the MX host's own name${level === "verify" ? "" : ", where DNSSEC vouches for it"}`;
  if (entry === "nexthop") return nextHop;
  if (entry === "dot-nexthop") return `.${nextHop}`;
  return "host" in entry ? entry.host : `.${entry.below}`;
}

/** Nothing where the product's own default holds. */
function originOf(deps: CliDeps, { origins }: OutboundPolicy, path: string): { origin?: string } {
  const origin = origins[path];
  return origin === undefined ? {} : { origin: place(deps, origin) };
}

function place(deps: CliDeps, { file, line, column }: Origin): string {
  return `${shownPath(deps, file)}:${line}:${column}`;
}

const LABEL_WIDTH = 14;

function print(deps: CliDeps, recipient: Mailbox, facts: readonly Fact[]): void {
  const paint = painter(deps.stdout, deps.env);
  deps.stdout.write(`${paint("bold", formatMailbox(recipient))}\n`);
  for (const { label, text, origin } of facts) {
    const where = origin === undefined ? "" : `  ${paint("dim", `(${origin})`)}`;
    const indent = LABEL_WIDTH + 2;
    const lines = text.split("\n").map((line) => wrapped(printable(line), deps.stdout, indent));
    const body = lines.join(`\n${" ".repeat(indent)}`);
    deps.stdout.write(`  ${paint("bold", label.padEnd(LABEL_WIDTH))}${body}${where}\n`);
  }
}
