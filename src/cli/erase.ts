/** `sealpost erase ADDRESS --why TEXT`: takes an address out of what is kept. Mail that still waits is left, and told. */
import { accountName } from "./account.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { withHistory } from "./history-access.ts";
import { loadSettings } from "./settings.ts";
import { count } from "./text.ts";

export async function erase(
  deps: CliDeps,
  common: Common,
  address: string,
  options: { why?: string },
): Promise<ExitCode> {
  const why = options.why?.trim() ?? "";
  if (why === "") return refuse(deps, EXIT.usage, ['Why? Give --why "…": it goes into the log, without the address.']);
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  const asker = { address: "local", who: accountName(), why };
  return withHistory(deps, settings, async (actions) => {
    const done = await actions.erase(address, asker);
    if ("error" in done) return refuse(deps, EXIT.usage, [`${done.error}. ${done.remedy}`]);
    if (common.json) printJson(deps, done);
    else deps.stdout.write(`Erased from ${count(done.changed, "entry")} of the history.\n`);
    if (done.waiting === 0) return EXIT.good;
    return refuse(deps, EXIT.no, [
      `${count(done.waiting, "delivery")} for or from this address still ${done.waiting === 1 ? "waits, and keeps it until its end" : "wait, and keep it until their end"}: see sealpost queue list --recipient or --sender. Remove what waits (sealpost queue remove ID --reason TEXT) or wait, then erase again.`,
    ]);
  });
}
