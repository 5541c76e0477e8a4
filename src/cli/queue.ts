/**
 * `sealpost queue list|show|retry|hold|release|bounce|remove|reroute`: what waits, why, and what a person may do about
 * it. Shows envelopes and answers; content only where that is permitted (queue-content.ts).
 */
import type { ActionResult, QueueActions } from "../admin/queue-actions.ts";
import { pagesOf, type QueueEntry } from "../admin/queue-entry.ts";
import { type Action, type BadRequest, isMessageOrDelivery, problemOf, readQueueFilter } from "../admin/queue-query.ts";
import type { Asker } from "../admin/who.ts";
import { parseRoute } from "../config/route.ts";
import type { QueueFilter } from "../store/queue.ts";
import { accountName } from "./account.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { withQueue } from "./queue-access.ts";
import { printContent } from "./queue-content.ts";
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

export interface Listed extends Filters {
  readonly limit?: string;
}

const SHOWN_BY_DEFAULT = 100;

export async function queueList(deps: CliDeps, common: Common, { limit, ...filters }: Listed): Promise<ExitCode> {
  const most = limit === undefined ? SHOWN_BY_DEFAULT : /^\d{1,7}$/.test(limit) ? Number(limit) : 0;
  if (most === 0) return refuse(deps, EXIT.usage, ["--limit says how many are shown: write a number from 1."]);
  return withFilter(deps, common, filters, async (actions, filter) => {
    if (common.json) {
      for await (const page of pagesOf(actions.list, filter, limit === undefined ? undefined : most))
        deps.stdout.write(page.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
      return EXIT.good;
    }
    const totals = await actions.totals(filter);
    const entries: QueueEntry[] = [];
    for await (const page of pagesOf(actions.list, filter, most)) entries.push(...page);
    printEntries(deps, entries, totals);
    return EXIT.good;
  });
}

export interface Shown {
  readonly content?: boolean;
  readonly why?: string;
}

export async function queueShow(deps: CliDeps, common: Common, id: string, { content, why }: Shown): Promise<ExitCode> {
  if (content === true && isEmpty(why))
    return refuse(deps, EXIT.usage, ['Why? Give --why "…": every look at content goes into the log.']);
  return withFilter(deps, common, { id }, async (actions, filter) => {
    if (content === true) return printContent(deps, actions, { id, asker: askerOf(why) });
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
  readonly why?: string;
  /** Of reroute. */
  readonly to?: string;
}

export async function queueAct(deps: CliDeps, common: Common, action: Action, chosen: Chosen): Promise<ExitCode> {
  const { all = false, to, why, ...asked } = chosen;
  // Of remove, --reason is why; mail is told apart by the other filters.
  const { reason, ...narrow } = asked;
  if (action === "remove" && !isEmpty(why) && !isEmpty(reason))
    return refuse(deps, EXIT.usage, ["--reason says why mail is removed, and so does --why: give one of them."]);
  const asker = askerOf(action === "remove" ? (why ?? reason) : why);
  const { id } = chosen;
  const problemWith = (filter: QueueFilter): BadRequest | undefined =>
    problemOf({ action, filter, all, why: asker.why, to }) ?? routeProblem(to);
  return withFilter(
    deps,
    common,
    { ...(action === "remove" ? narrow : asked), problemWith },
    async (actions, filter) => {
      const result = await actions.act({ action, filter, all, to, asker });
      if ("error" in result) return refuse(deps, EXIT.usage, [sentence(result)]);
      const { matched, busy } = result;
      if (id !== undefined && matched + busy === 0 && (await actions.list({ ...filter, limit: 1 })).length > 0)
        return refuse(deps, EXIT.no, [UNREACHED[action](id)]);
      return report(deps, common, result, { action, id });
    },
  );
}

function routeProblem(to: string | undefined): BadRequest | undefined {
  const route = to === undefined ? "policy" : parseRoute(to, 25);
  if (typeof route !== "object" || !("message" in route)) return undefined;
  const { message, remedy } = route;
  return { error: message, remedy: `${remedy.charAt(0).toUpperCase()}${remedy.slice(1)}.` };
}

function isEmpty(text: string | undefined): boolean {
  return text === undefined || text.trim() === "";
}

function askerOf(why: string | undefined): Asker {
  return { address: "local", who: accountName(), why: isEmpty(why) ? undefined : why?.trim() };
}

interface Narrow extends Filters {
  readonly id?: string | undefined;
  /** What else is wrong with what is asked. */
  readonly problemWith?: (filter: QueueFilter) => BadRequest | undefined;
}

/** Refuses what is wrong before anything is opened. */
async function withFilter(
  deps: CliDeps,
  common: Common,
  { problemWith, ...asked }: Narrow,
  act: (actions: QueueActions, filter: QueueFilter) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { olderThan, id, domain, partner, sender, recipient, reason } = asked;
  if (id !== undefined && !isMessageOrDelivery(id)) return missing(deps, id);
  const given = { id, domain, partner, sender, recipient, reason, older_than: olderThan };
  const read = readQueueFilter(given, { now: deps.clock.now(), paged: false });
  if ("error" in read) return refuse(deps, EXIT.usage, [sentence(read).replace("older_than", "--older-than")]);
  const problem = problemWith?.(read.filter);
  if (problem !== undefined) return refuse(deps, EXIT.usage, [sentence(problem)]);
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  if (partner !== undefined && !settings.policy.partners.some(({ id: known }) => known === partner))
    deps.stderr.write(`There is no partner file ${JSON.stringify(`${partner}.yaml`)} (any more).\n`);
  return withQueue(deps, settings, (actions) => act(actions, read.filter));
}

function sentence({ error, remedy }: BadRequest): string {
  return `${error}${/[.?!]$/.test(error) ? "" : "."} ${remedy}`;
}

function missing(deps: CliDeps, id: string): ExitCode {
  return refuse(deps, EXIT.no, [
    `There is no ${JSON.stringify(id)} in the queue. It may have ended: look for it with sealpost trace.`,
  ]);
}

/** What is said of one, and of several. */
const DONE: Readonly<Record<Action, readonly [string, string]>> = {
  retry: ["is tried again now", "are tried again now"],
  hold: ["is held until it is released", "are held until they are released"],
  release: ["is released and tried now", "are released and tried now"],
  bounce: ["has failed, and the sender is told", "have failed, and their senders are told"],
  remove: ["is removed", "are removed"],
  reroute: ["goes the new way now", "go the new way now"],
};

/** Of mail that is there, and that the action does not reach. */
const UNREACHED: Readonly<Record<Action, (id: string) => string>> = {
  retry: (id) => `"${id}" is held, and is not tried: let it go with sealpost queue release ${id}.`,
  hold: (id) => `"${id}" is held already.`,
  release: (id) => `"${id}" is not held: try it with sealpost queue retry ${id}.`,
  bounce: leftAlone,
  remove: leftAlone,
  reroute: leftAlone,
};

function leftAlone(id: string): string {
  return `"${id}" was left alone: see sealpost queue show ${id}, and try again.`;
}

/** An id that matches nothing is an answer of "no"; a filter that matches nothing is none. */
function report(
  deps: CliDeps,
  common: Common,
  result: ActionResult,
  { action, id }: { readonly action: Action; readonly id: string | undefined },
): ExitCode {
  const { matched, busy } = result;
  if (id !== undefined && matched + busy === 0) return missing(deps, id);
  if (common.json) printJson(deps, result);
  else {
    const [one, several] = DONE[action];
    deps.stdout.write(`${count(matched, "delivery")} ${matched === 1 ? one : several}.\n`);
    const left = action === "retry" || action === "release" ? "" : ` and ${busy === 1 ? "was" : "were"} left alone`;
    if (busy > 0)
      deps.stdout.write(`${count(busy, "delivery")} ${busy === 1 ? "is" : "are"} being tried right now${left}.\n`);
  }
  return id !== undefined && matched === 0 ? EXIT.no : EXIT.good;
}
