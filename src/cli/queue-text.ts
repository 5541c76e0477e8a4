/** How the queue is shown to people. Answers of peers are theirs: made harmless before they reach a terminal. */
import type { QueueEntry } from "../admin/queue-actions.ts";
import type { CliDeps } from "./deps.ts";
import { count, duration, fitted, painter, printable, size, table, wrapped } from "./text.ts";

/** Each delivery in two lines, then totals by destination and by reason. */
export function printEntries(deps: CliDeps, entries: readonly QueueEntry[]): void {
  const { stdout } = deps;
  if (entries.length === 0) {
    stdout.write("Nothing waits.\n");
    return;
  }
  const paint = painter(stdout, deps.env);
  const now = deps.clock.now();
  const head = ["QUEUE ID", "AGE", "SIZE", "DESTINATION", "PARTNER", "REASON", "NEXT TRY"];
  const [title = "", ...lines] = table([head, ...entries.map((entry) => cells(entry, now))]);
  stdout.write(`${paint("bold", fitted(title, stdout))}\n`);
  for (const [at, entry] of entries.entries()) {
    stdout.write(`${fitted(lines[at] ?? "", stdout)}\n`);
    stdout.write(`${paint("dim", fitted(`    ${path(entry)}${answer(entry)}`, stdout))}\n`);
  }
  stdout.write("\n");
  for (const line of totals(entries)) stdout.write(`${line}\n`);
}

function cells(entry: QueueEntry, now: number): string[] {
  return [
    entry.queueId,
    duration(now - Date.parse(entry.received)),
    size(entry.size),
    printable(entry.domain),
    entry.partner ?? "-",
    entry.reason ?? "-",
    nextTry(entry, now),
  ];
}

function nextTry({ state, nextAttempt }: QueueEntry, now: number): string {
  switch (state) {
    case "waiting":
      return duration(Date.parse(nextAttempt) - now);
    case "leased":
      return "under way";
    case "held":
    case "parked":
      return state;
  }
}

function path({ sender, recipients }: QueueEntry): string {
  const more = recipients.length > 3 ? ` and ${recipients.length - 3} more` : "";
  return printable(`${sender === "" ? "<>" : sender} to ${recipients.slice(0, 3).join(", ")}${more}`);
}

function answer({ detail }: QueueEntry): string {
  return detail === null ? "" : `: ${printable(detail)}`;
}

function totals(entries: readonly QueueEntry[]): string[] {
  const messages = new Set(entries.map(({ queueId }) => queueId)).size;
  const octets = entries.reduce((sum, entry) => sum + entry.size, 0);
  return [
    `${count(entries.length, "delivery")} of ${count(messages, "message")}, ${size(octets)}`,
    ...tally("by destination", entries, ({ domain }) => printable(domain)),
    ...tally("by reason", entries, ({ reason }) => reason ?? "not tried yet"),
  ];
}

function tally(title: string, entries: readonly QueueEntry[], keyOf: (entry: QueueEntry) => string): string[] {
  const numbers = new Map<string, number>();
  for (const entry of entries) numbers.set(keyOf(entry), (numbers.get(keyOf(entry)) ?? 0) + 1);
  const sorted = [...numbers].toSorted((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  return [title, ...table(sorted.map(([key, number]) => [`  ${key}`, String(number)]))];
}

/** All there is to one delivery, but its content. */
export function printEntry(deps: CliDeps, entry: QueueEntry): void {
  const paint = painter(deps.stdout, deps.env);
  const { client } = entry;
  const tls = client.tls === undefined ? "in clear" : `${client.tls.version} ${client.tls.cipher}`;
  const user = client.user === undefined ? "" : ` as ${client.user}`;
  const rows: [string, string][] = [
    ["queue id", entry.queueId],
    ["delivery", entry.delivery],
    ["state", entry.state],
    ["from", entry.sender === "" ? "<> (null sender)" : entry.sender],
    ["to", entry.recipients.join(", ")],
    ["partner", entry.partner ?? "none"],
    ["message-id", entry.messageId ?? "none"],
    ["size", size(entry.size)],
    ["received", `${entry.received} by ${entry.listener}`],
    ["client", `${client.address} (${client.helo}), permitted by ${client.via}${user}, ${tls}`],
    ["attempts", String(entry.attempts)],
    ["reason", entry.reason ?? "not tried yet"],
    ["last answer", entry.detail ?? "none"],
    ["next try", entry.state === "waiting" ? entry.nextAttempt : entry.state],
    ["expires", entry.expires],
  ];
  for (const [label, text] of rows) {
    deps.stdout.write(`${paint("bold", label.padEnd(13))}${wrapped(printable(text), deps.stdout, 13)}\n`);
  }
  deps.stdout.write("\n");
}
