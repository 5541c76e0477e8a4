/** `sealpost check`: every problem of the configuration at once, or in short what it sets up. Starts nothing. */
import { describeNextHop } from "../decide/decide.ts";
import type { OutboundPolicy } from "../decide/policy.ts";
import type { Settings } from "../config/settings.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson } from "./deps.ts";
import { day } from "./fact.ts";
import { loadSettings, printProblems, shownPath } from "./settings.ts";
import { count, painter, table } from "./text.ts";

export async function check(deps: CliDeps, common: Common): Promise<ExitCode> {
  const loaded = await deps.loadConfig(common.config);
  if (!loaded.ok) {
    const code = await loadSettings({ ...deps, loadConfig: () => Promise.resolve(loaded) }, common);
    return typeof code === "number" ? code : EXIT.configuration;
  }
  const { settings, warnings } = loaded;
  if (common.json) {
    printJson(deps, { ok: true, file: settings.file, warnings, ...summary(settings) });
    return EXIT.good;
  }
  printProblems(deps, warnings, "yellow");
  const paint = painter(deps.stdout, deps.env);
  for (const line of table(rows(settings).map(([key, text]) => [paint("bold", key), text])))
    deps.stdout.write(`${line}\n`);
  const warned = warnings.length === 0 ? "" : `, ${count(warnings.length, "warning")}`;
  deps.stdout.write(`${paint("green", "Good")}: ${shownPath(deps, settings.file)}${warned}\n`);
  return EXIT.good;
}

function summary(settings: Settings) {
  const { accept, policy } = settings;
  return {
    hostname: settings.hostname,
    listeners: accept.listeners.map(({ name, address, port, tls }) => ({ name, address, port, tls })),
    partners: policy.partners.map(({ id, name, outbound }) => ({ id, name, level: outbound.tls.level })),
    ownDomains: policy.ownDomains.map(({ domain }) => domain),
    default: policy.default.tls.level,
    files: settings.files.length,
  };
}

function rows(settings: Settings): [string, string][] {
  const { accept, policy, admin } = settings;
  return [
    ["name", settings.hostname],
    ...accept.listeners.map(({ name, address, port, tls, clients, auth }): [string, string] => {
      const who = [count(clients.length, "client network"), ...(auth ? [count(auth.users.length, "user")] : [])];
      return ["listener", `${name} on ${address} port ${port}, TLS ${tls}, ${who.join(", ")}`];
    }),
    ["default", policy.default.permitted ? route(policy.default) : "refused: only partners may be sent to"],
    ...policy.ownDomains.map(({ domain, outbound }): [string, string] => [
      "own domain",
      `${domain}: ${route(outbound)}`,
    ]),
    ...policy.partners.map((partner): [string, string] => {
      const { id, domains, subdomainsOf, addresses, outbound, exceptions } = partner;
      const names = [...domains, ...subdomainsOf.map((parent) => `.${parent}`), ...addresses].join(" ");
      const weakened = exceptions.length === 0 ? "" : `, ${count(exceptions.length, "exception")}`;
      return ["partner", `${id} (${names}): ${route(outbound)}${weakened}`];
    }),
    ["queue", `${settings.dataDir}, sealed by ${settings.store.keyFile}`],
    ["admin", `${admin.address} port ${admin.port}`],
  ];
}

function route({ tls, nextHop, mode, reportEndsAt }: OutboundPolicy): string {
  const reports = mode === "report" ? `, in report mode until ${day((reportEndsAt ?? Number.NaN) - 1)}` : "";
  return `level ${tls.level} to ${nextHop.map(describeNextHop).join(", then ")}${reports}`;
}
