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

function print(deps: CliDeps, entries: readonly TraceEntry[]): void {
  const paint = painter(deps.stdout, deps.env);
  let shown: string | null | undefined;
  for (const { at, kind, queueId, fields } of entries) {
    if (queueId !== shown)
      deps.stdout.write(`${shown === undefined ? "" : "\n"}${paint("bold", queueId ?? "refused")}\n`);
    shown = queueId;
    const told = (TOLD[kind] ?? (() => kind))(fields);
    deps.stdout.write(`  ${paint("dim", at)}  ${wrapped(printable(told), deps.stdout, 28)}\n`);
  }
}

type Fields = Readonly<Record<string, unknown>>;

const TOLD: Readonly<Record<string, ((fields: Fields) => string) | undefined>> = {
  accepted: (fields) => {
    const { client, size } = fields;
    const { address, via, user, tls } = (client ?? {}) as Fields;
    const secured = tls === undefined ? "in clear" : text((tls as Fields)["version"]);
    const as = user === undefined ? "" : ` as ${text(user)}`;
    return `accepted from ${sender(fields)} for ${list(fields["recipients"])}: ${text(size)} octets, by ${text(address)} (${text(via)}${as}, ${secured})`;
  },
  refused: (fields) =>
    `refused at ${text(fields["stage"])}: ${sender(fields)} to ${list(fields["recipients"])}: ${text(fields["code"])} ${text(fields["reason"])}`,
  delivery: (fields) => {
    const mx = fields["mx"] as Fields | undefined;
    const tls = fields["tls"] as Fields | undefined;
    const smtp = fields["smtp"] as Fields | undefined;
    const host = mx === undefined ? "no host" : `${text(mx["host"])} [${text(mx["address"])}]`;
    const proven = tls === undefined ? "" : `, ${text(tls["version"] ?? "no TLS")} ${text(tls["result"])}`;
    const reason = fields["reason"] === undefined ? "" : ` ${text(fields["reason"])}`;
    const would =
      fields["wouldDefer"] === undefined ? "" : `; enforce would have waited: ${text(fields["wouldDefer"])}`;
    const said = smtp === undefined ? text(fields["detail"] ?? "") : `${text(smtp["code"])} ${text(smtp["text"])}`;
    const next = fields["nextAttempt"] === undefined ? "" : `; next try ${text(fields["nextAttempt"])}`;
    return `${text(fields["outcome"])}${reason}: ${list(fields["recipients"])} at ${host}${proven}: ${said}${would}${next}`;
  },
  notice: (fields) => `notice of ${text(fields["kind"])} to ${text(fields["recipient"])} (${text(fields["queueId"])})`,
  moved: (fields) => `goes on as ${text(fields["into"])}: ${text(fields["reason"])}`,
  finished: (fields) =>
    `ended: ${((fields["outcome"] ?? []) as Fields[]).map((one) => `${text(one["recipient"])} ${text(one["end"])}`).join(", ")}`,
};

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
