/** `sealpost reload`: the running gateway reads its configuration anew, whole or not at all, and says why if not. */
import { findGateway } from "./admin-client.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { loadSettings } from "./settings.ts";

export async function reload(deps: CliDeps, common: Common, why?: string): Promise<ExitCode> {
  // A configuration that is refused here would be refused there, with the same words.
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  const client = await findGateway(settings);
  if (client === undefined) return refuse(deps, EXIT.unreachable, [`No gateway runs on ${settings.dataDir}.`]);
  const answer = await client.post("/api/v1/reload", why === undefined ? undefined : { why });
  switch (answer.kind) {
    case "unreachable":
      return refuse(deps, EXIT.unreachable, [answer.detail]);
    case "done":
      if (common.json) printJson(deps, { ok: true });
      else deps.stdout.write("The new configuration is in force.\n");
      return EXIT.good;
    case "refused": {
      const { error, problems } = answer.body;
      const lines = Array.isArray(problems) ? problems.map(String) : [];
      if (common.json) printJson(deps, { ok: false, problems: lines });
      return refuse(deps, answer.status === 422 ? EXIT.configuration : EXIT.unreachable, [...lines, String(error)]);
    }
  }
}
