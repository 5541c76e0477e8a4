/**
 * `sealpost promote PARTNER`: says what report mode has shown, then makes the partner's policy enforced. The edited file
 * must load with the whole configuration, and change nothing but the mode, before it takes the old one's place.
 */
import { dirname, join } from "node:path";
import { diskFiles } from "../config/files.ts";
import { type Promoted, promoteText } from "../config/promote.ts";
import type { Settings } from "../config/settings.ts";
import type { PartnerPolicy, Policy } from "../decide/policy.ts";
import type { ReportFigures } from "../store/history.ts";
import { findGateway } from "./admin-client.ts";
import { confirmed } from "./confirm.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { day } from "./fact.ts";
import { reload } from "./reload.ts";
import { replaceFile } from "./replace-file.ts";
import { figuresText, reportFigures, wouldDeferOf } from "./report-figures.ts";
import { loadSettings, printProblems, shownPath } from "./settings.ts";
import { printable } from "./text.ts";

export interface PromoteOptions {
  readonly direction?: string;
  /** Asks nothing. */
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

export async function promote(
  deps: CliDeps,
  common: Common,
  id: string,
  { direction = "outbound", yes = false, dryRun = false }: PromoteOptions,
): Promise<ExitCode> {
  if (direction === "inbound") return refuse(deps, EXIT.usage, ["promote --direction inbound is not available yet."]);
  if (direction !== "outbound") return refuse(deps, EXIT.usage, ["--direction is outbound or inbound."]);
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  const partner = settings.policy.partners.find((one) => one.id === id);
  if (partner === undefined)
    return refuse(deps, EXIT.no, [`There is no partner file ${JSON.stringify(`${id}.yaml`)}.`]);
  if (partner.outbound.mode !== "report")
    return refuse(deps, EXIT.no, [`The policy of ${id} is enforced already: nothing of it is in report mode.`]);
  const figures = await reportFigures(deps, settings, id);
  if (typeof figures === "number") return figures;
  const edit = await planned(deps, common, { settings, id });
  if (typeof edit === "number") return edit;
  tell(deps, common, { partner, figures, settings, edit });
  if (dryRun) return finish(deps, common, { id, figures, edit, written: false });
  const unknown = settings.historyMs === 0 || figures.deliveries === 0;
  if (!yes && (unknown || wouldDeferOf(figures) > 0) && !(await confirmed(deps, "Enforce it? [yes/no] ")))
    return refuse(deps, EXIT.no, ["Nothing is changed. Answer yes, or give --yes."]);
  const replaced = await write(deps, edit);
  if (replaced !== EXIT.good) return replaced;
  finish(deps, common, { id, figures, edit, written: true });
  return putInForce(deps, common, { settings, id });
}

interface Edit {
  readonly file: string;
  readonly before: string;
  readonly promoted: Promoted;
}

/** The edit, once the whole configuration was found good with it. */
async function planned(
  deps: CliDeps,
  common: Common,
  { settings, id }: { readonly settings: Settings; readonly id: string },
): Promise<Edit | ExitCode> {
  const file = join(dirname(settings.file), "partners", `${id}.yaml`);
  const found = diskFiles.read(file);
  if (!found.ok) return refuse(deps, EXIT.no, [`${shownPath(deps, file)} cannot be read (${found.why}).`]);
  const promoted = promoteText(found.text);
  if ("message" in promoted)
    return refuse(deps, EXIT.no, [`${shownPath(deps, file)}: ${promoted.message}: ${promoted.remedy}.`]);
  const loaded = await deps.loadConfig(common.config, { file, text: promoted.text });
  if (!loaded.ok) {
    printProblems(deps, loaded.problems, "red");
    return refuse(deps, EXIT.configuration, ["So nothing is changed: the configuration would not be good."]);
  }
  if (isOnlyPromoted(settings.policy, loaded.settings.policy, id)) return { file, before: found.text, promoted };
  const why = `${shownPath(deps, file)}: an edit would change more than the mode, so nothing is changed`;
  return refuse(deps, EXIT.no, [`${why}: write mode: enforce by hand.`]);
}

/** Where it is written aside, nothing else may be another. */
function isOnlyPromoted(before: Policy, after: Policy, id: string): boolean {
  const text = (policy: Policy): string =>
    JSON.stringify(
      { ...policy, partners: policy.partners.map((one) => (one.id === id ? unmoded(one) : one)) },
      placeless,
    );
  const mode = after.partners.find((one) => one.id === id)?.outbound.mode;
  return mode === "enforce" && text(before) === text(after);
}

function placeless(key: string, value: unknown): unknown {
  return key === "origin" || key === "origins" ? undefined : value;
}

function unmoded({ outbound, exceptions, ...partner }: PartnerPolicy): object {
  const policies = [outbound, ...exceptions].map((policy) => ({ ...policy, mode: "enforce", reportEndsAt: undefined }));
  return { ...partner, policies };
}

async function write(deps: CliDeps, { file, before, promoted }: Edit): Promise<ExitCode> {
  const draft = deps.random.bytes(6).toString("hex");
  const replaced = await replaceFile({ path: file, before, after: promoted.text, draft });
  if (replaced.ok) return EXIT.good;
  const why =
    replaced.why === "changed" ? "somebody has edited it meanwhile" : `it cannot be replaced (${replaced.code})`;
  return refuse(deps, EXIT.no, [`${shownPath(deps, file)} stays as it was: ${why}.`]);
}

interface Told {
  readonly partner: PartnerPolicy;
  readonly figures: ReportFigures;
  readonly settings: Settings;
  readonly edit: Edit;
}

function tell(deps: CliDeps, { json }: Common, { partner, figures, settings, edit }: Told): void {
  if (json) return;
  const { id, outbound } = partner;
  const last = day((outbound.reportEndsAt ?? Number.NaN) - 1);
  deps.stdout.write(`${id}: report mode until ${last}. ${figuresText(figures, settings.historyMs)}\n`);
  const { inherited, removed, added } = edit.promoted;
  const where = inherited ? " (report mode comes from sealpost.yaml, and stays there for others)" : "";
  deps.stdout.write(`In ${shownPath(deps, edit.file)}${where}:\n`);
  for (const line of removed) deps.stdout.write(`- ${printable(line)}\n`);
  for (const line of added) deps.stdout.write(`+ ${printable(line)}\n`);
}

function finish(
  deps: CliDeps,
  { json }: Common,
  done: { readonly id: string; readonly figures: ReportFigures; readonly edit: Edit; readonly written: boolean },
): ExitCode {
  const { id, figures, edit, written } = done;
  const { removed, added } = edit.promoted;
  if (json) printJson(deps, { partner: id, direction: "outbound", figures, file: edit.file, removed, added, written });
  else if (!written) deps.stdout.write("Nothing is changed: this was a dry run.\n");
  return EXIT.good;
}

/** The file is another one already, whatever becomes of this. */
async function putInForce(
  deps: CliDeps,
  common: Common,
  { settings, id }: { readonly settings: Settings; readonly id: string },
): Promise<ExitCode> {
  const client = await findGateway(settings);
  if (client === undefined || !(await client.isAlive())) {
    if (!common.json) deps.stdout.write("The gateway is stopped: its next start enforces it.\n");
    return EXIT.good;
  }
  const silent = common.json ? { ...deps, stdout: { write: () => undefined } } : deps;
  const code = await reload(silent, { ...common, json: false }, `promote ${id}`);
  if (code !== EXIT.good) refuse(deps, code, ["The file is changed, but the running gateway keeps to what it knew."]);
  return code;
}
