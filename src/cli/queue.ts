/**
 * `sealpost queue list|show|retry|remove`: what waits, why, and what a person may do about it. Shows envelopes and
 * answers, never content.
 */
import { allEntries, type ActionResult, type QueueActions, type QueueEntry } from "../admin/queue-actions.ts";
import { isQueueId, readQueueFilter, removalProblem } from "../admin/queue-query.ts";
import type { QueueFilter } from "../store/queue.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { withQueue } from "./queue-access.ts";
import { printEntries, printEntry } from "./queue-text.ts";
import { loadSettings } from "./settings.ts";
import { count } from "./text.ts";

/** Filters as commander hands them over. */
export interface Filters {
  readonly domain?: string;
  readonly partner?: string;
  readonly sender?: string;
  readonly recipient?: string;
  readonly reason?: string;
  readonly olderThan?: string;
}

export async function queueList(deps: CliDeps, common: Common, filters: Filters): Promise<ExitCode> {
  return acting(deps, common, filters, async (actions, filter) => {
    if (common.json) {
      for await (const entry of allEntries(actions, filter)) printJson(deps, entry);
      return EXIT.good;
    }
    const entries: QueueEntry[] = [];
    for await (const entry of allEntries(actions, filter)) entries.push(entry);
    printEntries(deps, entries);
    return EXIT.good;
  });
}

export async function queueShow(deps: CliDeps, common: Common, id: string): Promise<ExitCode> {
  return acting(deps, common, { id }, async (actions, filter) => {
    const entries = await actions.list({ ...filter, limit: 1_000 });
    if (entries.length === 0) return missing(deps, id);
    for (const entry of entries) {
      if (common.json) printJson(deps, entry);
      else printEntry(deps, entry);
    }
    return EXIT.good;
  });
}

export interface Chosen extends Filters {
  readonly id: string | undefined;
  readonly all?: boolean;
}

export async function queueRetry(deps: CliDeps, common: Common, { id, all, ...filters }: Chosen): Promise<ExitCode> {
  if (!isNarrow(id, filters) && all !== true) {
    return refuse(deps, EXIT.usage, ["Which mail? Give a queue id or a filter, or --all for everything that waits."]);
  }
  return acting(deps, common, { ...filters, ...(id !== undefined && { id }) }, async (actions, filter) => {
    const result = await actions.retry(filter);
    return report(deps, common, result, { id, done: "is tried again now", busy: "is being tried right now" });
  });
}

/** Here `reason` is why the mail is removed. */
export async function queueRemove(deps: CliDeps, common: Common, chosen: Chosen): Promise<ExitCode> {
  const { id, reason, all: _, ...filters } = chosen;
  if (reason === undefined || reason.trim() === "") {
    return refuse(deps, EXIT.usage, ['Why? Give --reason "…": it goes into the log, and the sender is not told.']);
  }
  if (!isNarrow(id, filters)) return refuse(deps, EXIT.usage, ["Which mail? Give a queue id or a filter."]);
  return acting(deps, common, { ...filters, ...(id !== undefined && { id }) }, async (actions, filter) => {
    const problem = removalProblem(filter);
    if (problem !== undefined) return refuse(deps, EXIT.usage, [`${problem.error}. ${problem.remedy}`]);
    const result = await actions.remove(filter, reason.trim());
    return report(deps, common, result, {
      id,
      done: "is removed",
      busy: "is being tried right now and was left alone",
    });
  });
}

function isNarrow(id: string | undefined, filters: Filters): boolean {
  return id !== undefined || Object.values(filters).some((value) => value !== undefined);
}

async function acting(
  deps: CliDeps,
  common: Common,
  asked: Filters & { id?: string },
  act: (actions: QueueActions, filter: QueueFilter) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { olderThan, id, domain, partner, sender, recipient, reason } = asked;
  if (id !== undefined && !isQueueId(id)) return missing(deps, id);
  const given = { id, domain, partner, sender, recipient, reason, older_than: olderThan };
  const read = readQueueFilter(given, { now: deps.clock.now(), paged: false });
  if ("error" in read)
    return refuse(deps, EXIT.usage, [`${read.error.replace("older_than", "--older-than")}. ${read.remedy}`]);
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  return withQueue(deps, settings, (actions) => act(actions, read.filter));
}

function missing(deps: CliDeps, id: string): ExitCode {
  return refuse(deps, EXIT.no, [
    `There is no ${JSON.stringify(id)} in the queue. It may have ended: look for it in the log.`,
  ]);
}

interface Words {
  readonly id: string | undefined;
  readonly done: string;
  readonly busy: string;
}

/** An id that matches nothing is an answer of "no"; a filter that matches nothing is none. */
function report(deps: CliDeps, common: Common, result: ActionResult, words: Words): ExitCode {
  const { matched, busy } = result;
  if (words.id !== undefined && matched + busy === 0) return missing(deps, words.id);
  if (common.json) printJson(deps, result);
  else {
    deps.stdout.write(`${count(matched, "delivery")} ${plural(matched, words.done)}.\n`);
    if (busy > 0) deps.stdout.write(`${count(busy, "delivery")} ${plural(busy, words.busy)}.\n`);
  }
  return words.id !== undefined && matched === 0 ? EXIT.no : EXIT.good;
}

function plural(number: number, words: string): string {
  return number === 1 ? words : words.replace(/^is /, "are ").replace(" was ", " were ");
}
