/** Loads the configuration for a command, and shows its problems the one way they are shown. */
import { relative } from "node:path";
import type { Problem, Settings } from "../config/settings.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson } from "./deps.ts";
import { count, painter } from "./text.ts";

/** The settings, or the exit code after every problem was printed. */
export async function loadSettings(deps: CliDeps, common: Common): Promise<Settings | ExitCode> {
  const loaded = await deps.loadConfig(common.config);
  if (loaded.ok) return loaded.settings;
  if (common.json) printJson(deps, { ok: false, problems: loaded.problems });
  else {
    printProblems(deps, loaded.problems, "red");
    deps.stderr.write(`${count(loaded.problems.length, "problem")} in the configuration.\n`);
  }
  return EXIT.configuration;
}

/** `file:line:column: message`, and below it what to write instead. */
export function printProblems(deps: CliDeps, problems: readonly Problem[], colour: "red" | "yellow"): void {
  const paint = painter(deps.stderr, deps.env);
  for (const { file, line, column, message, remedy } of problems) {
    const place = paint("bold", `${shownPath(deps, file)}:${line}:${column}:`);
    deps.stderr.write(`${place} ${paint(colour, message)}\n    ${remedy}\n`);
  }
}

/** Relative to where we are, when it is below. */
export function shownPath(deps: CliDeps, file: string): string {
  const path = relative(deps.cwd, file);
  return path === "" || path.startsWith("..") ? file : path;
}
