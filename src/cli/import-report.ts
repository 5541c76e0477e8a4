/** What an import made, line by line: which file, how far it is what Postfix did, and what is left for people to do. */
import { type CliDeps, type Common, printJson } from "./deps.ts";
import type { ImportedFile } from "./import-postfix.ts";
import type { NoEntry } from "./postfix/table.ts";
import { shownPath } from "./settings.ts";
import { count, painter, printable } from "./text.ts";

export interface ImportReport {
  readonly files: readonly ImportedFile[];
  /** Of the policy table. */
  readonly left: readonly NoEntry[];
  /** Of the transport table. */
  readonly routesLeft: readonly NoEntry[];
  readonly dryRun: boolean;
  /** The files are where the gateway reads them. */
  readonly inForce: boolean;
}

const STYLES = { same: "green", stricter: "yellow", closed: "red" } as const;
const WORDS = { same: "as in Postfix", stricter: "stricter", closed: "to be completed: its mail waits" } as const;

export function tellImport(deps: CliDeps, common: Common, report: ImportReport): void {
  if (common.json) tellMachines(deps, report);
  else tellPeople(deps, report);
}

function tellMachines(deps: CliDeps, { files, left, routesLeft, dryRun }: ImportReport): void {
  for (const { path, text, draft } of files) {
    const { domains, demand, nextHop, sources } = draft;
    printJson(deps, {
      lines: sources.map(({ line }) => line),
      file: path,
      domains,
      verdict: demand.verdict,
      tls: demand.tls,
      ...(nextHop.length > 0 && { nextHop }),
      ...(demand.exception !== undefined && { exception: demand.exception }),
      notes: demand.notes,
      ...(dryRun && { text }),
    });
  }
  for (const { line, text, why } of left)
    printJson(deps, { lines: [line], verdict: "left-out", entry: text, notes: [why] });
  for (const { line, text, why } of routesLeft) {
    printJson(deps, { transportLine: line, verdict: "left-out", entry: text, notes: [why] });
  }
}

function tellPeople(deps: CliDeps, report: ImportReport): void {
  const { files, left, routesLeft, dryRun, inForce } = report;
  const paint = painter(deps.stdout, deps.env);
  const say = (line: string): void => void deps.stdout.write(`${line}\n`);
  for (const { path, text, draft } of files) {
    const { verdict, notes, exception } = draft.demand;
    const lines = draft.sources.map(({ line }) => line).join(", ");
    say(`${paint("bold", shownPath(deps, path))}: ${paint(STYLES[verdict], WORDS[verdict])} (line ${lines})`);
    for (const note of notes) say(`  ${printable(note)}`);
    if (exception !== undefined) say("  the exception for mail to go as before is in the file, to be completed");
    if (dryRun) for (const line of text.trimEnd().split("\n")) say(`  | ${line}`);
  }
  tellLeft(report, say, (text) => paint("red", text));
  const closed = files.filter(({ draft }) => draft.demand.verdict === "closed").length;
  say(
    `${count(files.length, "partner file")}${dryRun ? ", not written" : ""}; ${count(left.length, "line")} left out.`,
  );
  if (closed > 0) say(`${count(closed, "file")} to be completed: until then the mail for it waits.`);
  if (routesLeft.length > 0) say(`${count(routesLeft.length, "route")} left out.`);
  if (dryRun || files.length === 0) return;
  say(
    inForce
      ? "Read them, then: sealpost check, and sealpost reload."
      : "Put them beside the others in partners/, then: sealpost check.",
  );
}

function tellLeft(
  { left, routesLeft }: ImportReport,
  say: (line: string) => void,
  red: (text: string) => string,
): void {
  for (const [name, entries] of [
    ["line", left],
    ["transport line", routesLeft],
  ] as const) {
    for (const { line, text, why } of entries) {
      say(`${red(`${name} ${line} left out`)}: ${printable(text)}\n  ${printable(why)}`);
    }
  }
}
