/** BIND as authoritative server: each address serves its own set of zones, as servers of root, TLD and owners do. */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Zone } from "./dns-zones.ts";
import type { Namespace } from "./namespace.ts";
import { eventually } from "./processes.ts";
import type { Workbench } from "./workbench.ts";

/** Addresses with the zones that are served there; with none, every question is refused. */
export type Servers = Readonly<Record<string, readonly Zone[]>>;

export async function startBind(bench: Workbench, namespace: Namespace, servers: Servers): Promise<void> {
  const folder = await bench.folder("bind");
  const config = join(folder, "named.conf");
  await writeFile(config, configuration(folder, servers));
  // It listens on addresses of interfaces only, and loopback has but one to show.
  for (const address of Object.keys(servers)) await namespace.must("ip", ["addr", "add", `${address}/32`, "dev", "lo"]);
  const child = namespace.start("named", ["-g", "-4", "-n", "1", "-c", config]);
  let log = "";
  child.stdout.resume();
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const closed = once(child, "close");
  bench.atEnd(async () => {
    child.kill("SIGTERM");
    await closed;
  });
  await eventually("BIND", () => / running$/m.test(log) || child.exitCode !== null, { seen: () => log });
  const faulty = /^.*(?:not loaded due to errors|zone .*: loading from master file .* failed).*$/m.exec(log)?.[0];
  if (child.exitCode !== null || faulty !== undefined) throw new Error(`BIND: ${faulty ?? ""}\n${log}`);
}

function configuration(folder: string, servers: Servers): string {
  const addresses = Object.keys(servers);
  const views = Object.entries(servers).map(([address, zones]) => {
    const parts = zones.map(
      ({ name, file }) => `  zone "${name}" { type primary; file "${file}"; check-names ignore; };`,
    );
    return [`view "${address}" {`, `  match-destinations { ${address}; };`, ...parts, "};"].join("\n");
  });
  return `options {
  directory "${folder}"; pid-file none; session-keyfile none; lock-file none;
  listen-on port 53 { ${addresses.join("; ")}; }; listen-on-v6 { none; };
  recursion no; dnssec-validation no; notify no; allow-transfer { none; }; minimal-responses yes;
  empty-zones-enable no; check-integrity no;
};
controls {};
${views.join("\n")}
`;
}
