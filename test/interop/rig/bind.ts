/** BIND as authoritative server: each address serves its own set of zones, as servers of root, TLD and owners do. */
import { once } from "node:events";
import { readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Zone } from "./dns-zones.ts";
import type { Namespace } from "./namespace.ts";
import { eventually } from "./processes.ts";
import type { Workbench } from "./workbench.ts";

/** Addresses with the zones that are served there; with none, every question is refused. */
export type Servers = Readonly<Record<string, readonly Zone[]>>;

export interface Bind {
  /** Puts other text in place of some in the file of a zone that is not signed, and loads it. */
  readonly edit: (zone: string, from: string, to: string) => Promise<void>;
}

export async function startBind(bench: Workbench, namespace: Namespace, servers: Servers): Promise<Bind> {
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
  let serial = 1;
  return {
    edit: async (zone, from, to) => {
      const file =
        Object.values(servers)
          .flat()
          .find(({ name }) => name === zone)?.file ?? "";
      const text = await readFile(file, "utf8");
      if (!text.includes(from)) throw new Error(`The zone ${zone} does not say ${from}`);
      const next = (serial += 1);
      const edited = text.replace(from, to).replace(/SOA ns root \d+/, `SOA ns root ${next}`);
      await writeFile(file, edited);
      // BIND loads again what has a later time.
      const future = new Date(Date.now() + next * 2_000);
      await utimes(file, future, future);
      child.kill("SIGHUP");
      await eventually("the zone as edited", () => log.includes(`loaded serial ${next}`), { seen: () => log });
    },
  };
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
