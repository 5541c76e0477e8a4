/** `sealpost trace QUERY`: what became of a message, told in its order. Peers' answers are made harmless before they are shown. */
import type { TraceEntry } from "../admin/history-actions.ts";
import { accountName } from "./account.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { withHistory } from "./history-access.ts";
import { loadSettings } from "./settings.ts";
import { painter, printable, wrapped } from "./text.ts";

export async function trace(
  deps: CliDeps,
  common: Common,
  query: string,
  options: { why?: string },
): Promise<ExitCode> {
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  const asker = { address: "local", who: accountName(), why: options.why };
  return withHistory(deps, settings, async (actions) => {
    const found = await actions.trace(query, asker);
    if ("error" in found) return refuse(deps, EXIT.usage, [`${found.error}. ${found.remedy}`]);
    if (common.json) for (const entry of found) printJson(deps, entry);
    else print(deps, found);
    if (found.length > 0) return EXIT.good;
    const kept = settings.historyMs === 0 ? "No history is kept (history.keep)." : "It may be older than history.keep.";
    return refuse(deps, EXIT.no, [`Nothing is known of ${JSON.stringify(query)}. ${kept}`]);
  });
}

/** Message by message, what happened to each in its order. */
function print(deps: CliDeps, entries: readonly TraceEntry[]): void {
  const paint = painter(deps.stdout, deps.env);
  let shown: string | null | undefined;
  for (const { at, kind, queueId, fields } of entries) {
    if (queueId !== shown)
      deps.stdout.write(`${shown === undefined ? "" : "\n"}${paint("bold", queueId ?? "refused")}\n`);
    shown = queueId;
    const told = (TOLD[kind] ?? (() => kind))(fields, queueId);
    deps.stdout.write(`  ${paint("dim", at)}  ${wrapped(printable(told), deps.stdout, 28)}\n`);
  }
}

type Fields = Readonly<Record<string, unknown>>;
type Sentence = (fields: Fields, queueId: string | null) => string;

const TOLD: Readonly<Record<string, Sentence | undefined>> = {
  accepted: (fields) => {
    const { client, size, messageId, requireTls } = fields;
    const { address, via, user, tls } = (client ?? {}) as Fields;
    const secured = tls === undefined ? "in clear" : text((tls as Fields)["version"]);
    const as = user === undefined ? "" : ` as ${text(user)}`;
    const id = messageId === undefined ? "" : `, Message-ID ${text(messageId)}`;
    const demands = requireTls === true ? ", with REQUIRETLS" : "";
    return `accepted from ${sender(fields)} for ${list(fields["recipients"])}: ${text(size)} octets${id}${demands}, by ${text(address)} (${text(via)}${as}, ${secured})`;
  },
  refused: (fields) =>
    `refused at ${text(fields["stage"])}: ${sender(fields)} to ${list(fields["recipients"])}: ${text(fields["code"])} ${text(fields["reason"])}`,
  delivery: (fields) => {
    const { outcome, attempt, mx, smtp, exception, nextAttempt, wouldDefer, mode } = fields;
    const reason = fields["reason"] === undefined ? "" : ` (${text(fields["reason"])})`;
    const answer = smtp === undefined ? text(fields["detail"] ?? "") : reply(smtp as Fields);
    const { host, address } = (mx ?? {}) as Fields;
    const where = mx === undefined ? "" : ` by ${text(host)} [${text(address)}]${proof(fields)}`;
    const report = mode === "report" ? "; in report mode" : "";
    const would = wouldDefer === undefined ? "" : `, enforce would have let it wait: ${text(wouldDefer)}`;
    const approved =
      exception === undefined ? "" : `; by the exception of ${text((exception as Fields)["approvedBy"])}`;
    const next = nextAttempt === undefined ? "" : `; next try ${text(nextAttempt)}`;
    return `${text(outcome)}${reason} at try ${text(attempt)}: ${list(fields["recipients"])}${where}: ${answer}${report}${would}${approved}${next}`;
  },
  notice: (fields, queueId) => {
    const what = `notice of ${text(fields["kind"])} to ${text(fields["recipient"])}`;
    return queueId === fields["queueId"]
      ? `${what}, about ${text(fields["about"])}`
      : `${what}, as ${text(fields["queueId"])}`;
  },
  moved: (fields, queueId) => {
    const why = `${text(fields["reason"])}, approved by ${text(fields["approvedBy"])}`;
    return queueId === fields["into"]
      ? `goes on for ${text(fields["queueId"])}: ${why}`
      : `goes on as ${text(fields["into"])}: ${why}`;
  },
  action: ({ action, reason }) => `${text(action)} by a person${reason === undefined ? "" : `: ${text(reason)}`}`,
  finished: (fields) =>
    `ended: ${((fields["outcome"] ?? []) as Fields[]).map((one) => `${text(one["recipient"])} ${text(one["end"])}`).join(", ")}`,
};

/** `, TLSv1.3 authenticated by pkix`; that of an attempt which got so far. In clear is only what the peer answered to. */
function proof({ tls, smtp }: Fields): string {
  if (tls === undefined) return "";
  const { version, result, authenticatedBy } = tls as Fields;
  const by = authenticatedBy === undefined ? "" : ` by ${text(authenticatedBy)}`;
  if (version === undefined) return smtp === undefined ? "" : ", in clear";
  return `, ${text(version)} ${text(result)}${by}`;
}

/** `250 2.0.0 Ok: queued as 4711` */
function reply({ code, enhancedCode, text: said }: Fields): string {
  const enhanced = enhancedCode === undefined ? "" : ` ${text(enhancedCode)}`;
  return `${text(code)}${enhanced} ${text(said)}`;
}

function sender(fields: Fields): string {
  const from = text(fields["sender"] ?? "");
  return from === "" ? "<>" : from;
}

function list(value: unknown): string {
  const all = Array.isArray(value) ? value.map(text) : [];
  return all.length > 5 ? `${all.slice(0, 5).join(", ")} and ${all.length - 5} more` : all.join(", ");
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "?";
}
