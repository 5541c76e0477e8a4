/** What report mode has shown of a partner so far, from the history: for `promote`, and for `explain`. */
import type { Settings } from "../config/settings.ts";
import type { ReportFigures } from "../store/history.ts";
import { type CliDeps, EXIT, type ExitCode } from "./deps.ts";
import { day } from "./fact.ts";
import { withHistory } from "./history-access.ts";
import { count, exactDuration } from "./text.ts";

/** An exit code where they cannot be had, which was said. */
export async function reportFigures(
  deps: CliDeps,
  settings: Settings,
  partner: string,
): Promise<ReportFigures | ExitCode> {
  let figures: ReportFigures = { deliveries: 0, wouldDefer: [] };
  const code = await withHistory(deps, settings, async (actions) => {
    figures = await actions.figures(partner);
    return EXIT.good;
  });
  return code === EXIT.good ? figures : code;
}

/** One sentence. */
export function figuresText({ deliveries, wouldDefer, first }: ReportFigures, historyMs: number): string {
  if (historyMs === 0) return "No history is kept (history.keep: 0), so nobody knows what would have waited.";
  if (deliveries === 0 || first === undefined)
    return `Nothing was tried in report mode, as far back as the history goes (${exactDuration(historyMs)}).`;
  const since = `of ${count(deliveries, "delivery")} since ${day(first)}`;
  const kept = wouldDeferOf({ wouldDefer });
  if (kept === 0) return `Would have deferred none ${since}.`;
  const reasons = wouldDefer.map(({ reason, deliveries: number }) => `${reason}: ${number}`).join(", ");
  return `Would have deferred ${kept} ${since}, because ${reasons}.`;
}

export function wouldDeferOf({ wouldDefer }: Pick<ReportFigures, "wouldDefer">): number {
  return wouldDefer.reduce((sum, { deliveries }) => sum + deliveries, 0);
}
