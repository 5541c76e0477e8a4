/** A probe for people: host by host what was published, shown and judged. What others said is made harmless first. */
import type { Origin } from "../decide/policy.ts";
import type {
  ProbedCertificate,
  ProbedHost,
  ProbeProblem,
  ProbeReport,
  Published,
  PublishedDane,
  PublishedHost,
  PublishedSts,
} from "../report/probe-report.ts";
import type { CliDeps } from "./deps.ts";
import { shownPath } from "./settings.ts";
import { fitted, painter, printable, wrapped } from "./text.ts";

const LABEL_WIDTH = 10;
const INDENT = LABEL_WIDTH + 2;

/** `origin`: where it was written. */
interface Row {
  readonly label: string;
  readonly text: string;
  readonly origin?: Origin | undefined;
}

export function printProbe(deps: CliDeps, report: ProbeReport): void {
  const paint = painter(deps.stdout, deps.env);
  const { domain, level, levelOrigin, partner, source, problem } = report;
  say(deps, paint("bold", domain));
  const whose = partner === null ? source : `partner ${partner}`;
  printRows(deps, [{ label: "level", text: `${level}, by ${whose}`, origin: levelOrigin }]);
  for (const host of report.hosts) printHost(deps, host);
  for (const { nextHop, reason, detail } of report.unresolved) {
    say(deps, `\n${paint("bold", printable(nextHop))}  ${paint("red", "has no host to try")}`);
    printRows(deps, [{ label: "reason", text: `${reason}: ${detail}` }]);
  }
  say(deps, "");
  if (problem === undefined) {
    const taker = report.hosts.find((host) => host.withinAttempt && host.verdict !== undefined);
    say(deps, `${paint("green", "Mail can go")}: ${printable(taker?.host ?? domain)} would take it.`);
    return;
  }
  const end = problem.kind === "deferred" ? paint("yellow", "Mail waits") : paint("red", "Mail fails");
  say(deps, `${end}: ${problem.reason}`);
  printRows(deps, problemRows(problem, "why"));
}

function printHost(deps: CliDeps, host: ProbedHost): void {
  const paint = painter(deps.stdout, deps.env);
  const { problem, withinAttempt, transcript = [] } = host;
  const state = problem === undefined ? paint("green", "passes") : paint("red", "does not pass");
  const beyond = withinAttempt ? "" : "  (beyond what one attempt tries)";
  say(deps, `\n${paint("bold", printable(placeOf(host)))}  ${state}${beyond}`);
  printRows(deps, [
    ...publishedRows(host),
    { label: "STARTTLS", text: STARTTLS[host.starttls] },
    ...tlsRows(host),
    ...(problem === undefined ? verdictRows(host) : problemRows(problem, "verdict")),
    ...listed(
      "dialogue",
      transcript.map(({ from, text }) => `${SIGN[from]} ${text}`),
    ),
  ]);
}

const SIGN = { us: ">", peer: "<", tls: "=" } as const;

const STARTTLS: Readonly<Record<ProbedHost["starttls"], string>> = {
  offered: "offered",
  "not-offered": "not offered",
  implicit: "not needed: TLS from the start",
  "not-tried": "not tried: the policy does not use TLS",
  unknown: "unknown: the session did not get there",
};

/** `mx.acme.example (192.0.2.1 port 25)` */
function placeOf({ host, address, port }: PublishedHost): string {
  return host === address ? `${address} port ${port}` : `${host} (${address} port ${port})`;
}

/** The same in lines, for explain: each host, and below it what is published. */
export function publishedLines({ hosts, unresolved }: Published): string[] {
  return [
    ...hosts.flatMap((host) => {
      let last = "";
      const rows = publishedRows(host).map(({ label, text }) => `${(last = label || last)}: ${text}`);
      return [placeOf(host), ...rows];
    }),
    ...unresolved.map(({ nextHop, reason, detail }) => `${nextHop}: ${reason}: ${detail}`),
  ];
}

/** What DNS and the policy host say of one host. */
function publishedRows({ host, dnssec, dane, mtaSts }: PublishedHost): Row[] {
  const alias = dnssec === undefined || dnssec.canonical === host ? "" : `, alias of ${dnssec.canonical}`;
  return [
    ...(dnssec ? [{ label: "DNSSEC", text: `MX ${dnssec.mx}, addresses ${dnssec.address}${alias}` }] : []),
    ...(dane ? listed("TLSA", daneLines(dane)) : []),
    ...(mtaSts ? [{ label: "MTA-STS", text: stsText(mtaSts) }] : []),
  ];
}

function daneLines({ status, base, records, detail }: PublishedDane): string[] {
  switch (status) {
    case "usable":
      return records.map(({ text, matches }) =>
        matches === undefined ? text : `${matches ? "match" : "other"} ${text}`,
      );
    case "unusable":
      return [`none of those at ${base ?? "it"} can be used: TLS is demanded, unauthenticated`];
    case "absent":
      return ["none published"];
    case "insecure":
      return ["would not count: the zone is not signed"];
    case "untrusted-resolver":
      return ["would not count: no resolver's word on DNSSEC is believed here (dns.trust_ad)"];
    case "unknown":
      return [`unknown: ${detail ?? "a look-up failed"}`];
  }
}

function stsText({ status, id, mx = [], expires, listed: isListed, detail }: PublishedSts): string {
  switch (status) {
    case "enforce":
    case "testing": {
      const where = isListed === undefined ? "" : isListed ? "; this host is in it" : "; this host is not in it";
      return `${status}, mx ${mx.join(" ")}, id ${id ?? ""}, until ${expires?.slice(0, 10) ?? ""}${where}`;
    }
    case "none":
      return "a policy of mode none";
    case "absent":
      return "none published";
    case "unavailable":
    case "unknown":
      return `${status}: ${detail ?? ""}`;
  }
}

function tlsRows({ tls }: ProbedHost): Row[] {
  if (tls === undefined) return [];
  const { version, cipher, group, sni, chain, chainError } = tls;
  const parts = [version, cipher, group, sni === undefined ? undefined : `SNI ${sni}`].filter(
    (part) => part !== undefined,
  );
  const certificates = chain.map((certificate, at) => `${at + 1} ${describe(certificate)}`);
  const error = chainError === undefined ? [] : [`not valid under the trusted authorities (${chainError})`];
  return [{ label: "session", text: parts.join(", ") }, ...listed("chain", [...certificates, ...error])];
}

function describe({ subject, names, keyType, keyBits, notBefore, notAfter, issuer }: ProbedCertificate): string {
  const named = names.length === 0 ? "" : ` for ${names.slice(0, 5).join(" ")}${names.length > 5 ? " …" : ""}`;
  const key = keyBits === undefined ? keyType : `${keyType} ${keyBits}`;
  return `${subject}${named}, ${key}, ${notBefore.slice(0, 10)} to ${notAfter.slice(0, 10)}, issued by ${issuer}`;
}

function verdictRows({ verdict, tls }: ProbedHost): Row[] {
  if (verdict?.authenticatedBy !== undefined)
    return [{ label: "verdict", text: `authenticated by ${verdict.authenticatedBy}: ${verdict.matched ?? ""}` }];
  if (tls === undefined) return [{ label: "verdict", text: "in clear: nothing is demanded" }];
  const trusted = verdict?.trusted === true ? "; its certificate would pass at level verify" : "";
  return [{ label: "verdict", text: `encrypted, and no more is demanded${trusted}` }];
}

function problemRows({ reason, detail, remedy, rule }: ProbeProblem, label: string): Row[] {
  return [
    { label, text: `${reason}: ${detail}` },
    ...(rule ? [{ label: "demanded", text: rule.demand, origin: rule.origin }] : []),
    { label: "to do", text: remedy },
  ];
}

/** The label stands before the first line only. */
function listed(label: string, texts: readonly string[]): Row[] {
  return texts.map((text, at) => ({ label: at === 0 ? label : "", text }));
}

function printRows(deps: CliDeps, rows: readonly Row[]): void {
  const paint = painter(deps.stdout, deps.env);
  for (const { label, text, origin } of rows) {
    const where = origin === undefined ? "" : `(${shownPath(deps, origin.file)}:${origin.line}:${origin.column})`;
    const lines = wrapped(printable(text), deps.stdout, INDENT).split("\n");
    const body = lines.map((line, at) => fitted(at === 0 ? " ".repeat(INDENT) + line : line, deps.stdout)).join("\n");
    const end = where === "" ? "" : `  ${paint("dim", where)}`;
    say(deps, `  ${paint("bold", label.padEnd(LABEL_WIDTH))}${body.slice(INDENT)}${end}`);
  }
}

function say(deps: CliDeps, line: string): void {
  deps.stdout.write(`${line}\n`);
}
