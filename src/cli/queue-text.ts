/** How the queue is shown to people. Answers of peers are theirs: made harmless before they reach a terminal. */
import type { QueueEntry } from "../admin/queue-entry.ts";
import type { QueueTotals } from "../store/queue.ts";
import type { CliDeps } from "./deps.ts";
import { demandsTexts } from "./explain-message.ts";
import { count, duration, fitted, painter, printable, size, table, wrapped } from "./text.ts";

/** Each delivery in two lines, then totals of all that match, by destination and by reason. */
export function printEntries(deps: CliDeps, entries: readonly QueueEntry[], totals: QueueTotals): void {
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
  const left = totals.deliveries - entries.length;
  if (left > 0) stdout.write(`… and ${grouped(left)} more (--limit NUMBER, or --json for all)\n`);
  stdout.write("\n");
  for (const line of totalLines(totals)) stdout.write(`${line}\n`);
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

function totalLines(totals: QueueTotals): string[] {
  const { deliveries, messages, byState, byDomain, byReason } = totals;
  const states = (["leased", "held", "parked"] as const).filter((state) => byState[state] > 0);
  const apart = states.map((state) => `${grouped(byState[state])} ${state === "leased" ? "under way" : state}`);
  return [
    [`${many(deliveries, "delivery")} of ${many(messages, "message")}`, size(totals.size), ...apart].join(", "),
    ...tally(
      "by destination",
      byDomain.map(({ domain, deliveries: number }) => [printable(domain), number]),
    ),
    ...tally(
      "by reason",
      byReason.map(({ reason, deliveries: number }) => [reason ?? "not tried yet", number]),
    ),
  ];
}

const MOST_LINES = 25;

function tally(title: string, numbers: readonly (readonly [string, number])[]): string[] {
  const lines = table(numbers.slice(0, MOST_LINES).map(([key, number]) => [`  ${key}`, grouped(number)]));
  const left = numbers.length - MOST_LINES;
  return [title, ...lines, ...(left > 0 ? [`  … and ${grouped(left)} more`] : [])];
}

/** 99,900 */
function grouped(number: number): string {
  return number.toLocaleString("en-US");
}

function many(number: number, noun: string): string {
  return count(number, noun).replace(/^\d+/, grouped(number));
}

function ladder({ step, fallback }: QueueEntry): [string, string][] {
  const made =
    fallback && `made of ${fallback.of} by S/MIME after its time had passed, approved by ${fallback.approvedBy}`;
  const taken = step === 0 ? null : `${count(step, "step")} of on_expiry taken`;
  const text = [made, taken].filter((part) => part !== null).join("; ");
  return text === "" ? [] : [["ladder", text]];
}

/** Or a session that the policy lets pass would not tell why it waits. */
function demands({ requireTls, demands: own }: QueueEntry): [string, string][] {
  const texts = [...(requireTls ? ["REQUIRETLS: level authenticated, in addition"] : []), ...demandsTexts(own)];
  return texts.length === 0 ? [] : [["demands", texts.join("; ")]];
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
    ...(entry.route === null ? [] : [["next hop", `${entry.route}, where a person has sent it`] as [string, string]]),
    ...ladder(entry),
    ...demands(entry),
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
