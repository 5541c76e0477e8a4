/**
 * `sealpost probe DOMAIN`: what a delivery would meet now, host by host, without any mail. The running gateway is asked,
 * since its policy and its cache are in force; without one the same engine runs in this process.
 */
import { readProbeRequest } from "../admin/probe-request.ts";
import type { ActionResult } from "../admin/queue-actions.ts";
import type { Settings } from "../config/settings.ts";
import type { ProbeReport, ProbeRequest } from "../report/probe-report.ts";
import { accountName } from "./account.ts";
import { type AdminClient, findGateway } from "./admin-client.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { printProbe } from "./probe-text.ts";
import { withQueue } from "./queue-access.ts";
import { loadSettings } from "./settings.ts";
import { count } from "./text.ts";

export interface ProbeOptions {
  readonly domain: string;
  readonly host?: string;
  readonly level?: string;
  readonly transcript?: boolean;
  readonly release?: boolean;
}

/** Every host may take its time to connect, to greet and to shake hands. */
const PATIENCE_MS = 10 * 60_000;

export async function probe(deps: CliDeps, common: Common, options: ProbeOptions): Promise<ExitCode> {
  const { release = false, ...asked } = options;
  const read = readProbeRequest(asked);
  if ("error" in read) return refuse(deps, EXIT.usage, [`${read.error}. ${read.remedy}`]);
  if (release && (asked.host !== undefined || asked.level !== undefined)) {
    const why = "--release needs the whole answer, by the policy that mail is under: leave out --host and --level.";
    return refuse(deps, EXIT.usage, [why]);
  }
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  const report = await ask(deps, settings, read.request);
  if ("code" in report) return refuse(deps, report.code, [report.message]);
  if (!release || !report.ok) return answer(deps, common, report);
  let shown = false;
  const code = await withQueue(deps, settings, async (actions) => {
    const asker = { address: "local", who: accountName(), why: "a probe found that mail can go" };
    const filter = { domain: report.domain };
    const released = await actions.act({ action: "retry", filter, all: false, to: undefined, asker });
    if ("error" in released) return refuse(deps, EXIT.usage, [`${released.error}. ${released.remedy}`]);
    shown = true;
    return answer(deps, common, report, released);
  });
  if (!shown) answer(deps, common, report); // what was found stands, though nothing is released
  return code;
}

function answer(deps: CliDeps, common: Common, report: ProbeReport, released?: ActionResult): ExitCode {
  if (common.json) printJson(deps, { ...report, ...(released && { released }) });
  else {
    printProbe(deps, report);
    if (released !== undefined) deps.stdout.write(`${releasedText(released)}\n`);
  }
  return report.ok ? EXIT.good : EXIT.no;
}

function releasedText({ matched, busy }: ActionResult): string {
  if (matched + busy === 0) return "Nothing waited for it.";
  const due = `${count(matched, "delivery")} ${matched === 1 ? "is" : "are"} due now`;
  return busy === 0 ? `${due}.` : `${due}; ${busy} under way already.`;
}

type Unanswered = { readonly code: ExitCode; readonly message: string };

async function ask(deps: CliDeps, settings: Settings, request: ProbeRequest): Promise<ProbeReport | Unanswered> {
  const client = await findGateway(settings);
  if (client !== undefined && (await client.isAlive())) return askGateway(client, request);
  const outside = deps.openOutside(settings);
  try {
    return await outside.probe(request);
  } finally {
    await outside.close();
  }
}

async function askGateway(client: AdminClient, request: ProbeRequest): Promise<ProbeReport | Unanswered> {
  const answered = await client.post("/api/v1/probe", request, PATIENCE_MS);
  switch (answered.kind) {
    case "done":
      return answered.body as unknown as ProbeReport;
    case "unreachable":
      return { code: EXIT.unreachable, message: answered.detail };
    case "refused": {
      const { error, remedy } = answered.body;
      const code = answered.status === 400 ? EXIT.usage : EXIT.unreachable;
      return { code, message: `${String(error)}. ${String(remedy)}` };
    }
  }
}
