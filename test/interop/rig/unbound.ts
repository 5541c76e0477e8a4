/** Unbound as it stands beside a gateway: it recurses from a root of our own and validates with that root's key. */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Namespace } from "./namespace.ts";
import { eventually } from "./processes.ts";
import type { Workbench } from "./workbench.ts";

export interface UnboundWish {
  readonly address: string;
  readonly rootServer: string;
  /** "DNSKEY 257 3 13 …" of the root. */
  readonly anchor: string;
}

export interface Unbound {
  /** Forgets what is below the name. */
  readonly flush: (zone: string) => Promise<void>;
  /** Of unbound-control. */
  readonly statistics: () => Promise<string>;
  readonly log: () => string;
}

export async function startUnbound(bench: Workbench, namespace: Namespace, wish: UnboundWish): Promise<Unbound> {
  const folder = await bench.folder("unbound");
  const config = join(folder, "unbound.conf");
  await writeFile(join(folder, "root.hints"), `. 3600 NS ns.\nns. 3600 A ${wish.rootServer}\n`);
  await writeFile(join(folder, "root.key"), `. 3600 IN ${wish.anchor}\n`);
  await writeFile(config, configuration(folder, wish));
  const child = namespace.start("unbound", ["-d", "-d", "-c", config]);
  let log = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => (log += text));
  const closed = once(child, "close");
  bench.atEnd(async () => {
    child.kill("SIGTERM");
    await closed;
  });
  await eventually("Unbound", () => log.includes("start of service") || child.exitCode !== null, { seen: () => log });
  if (child.exitCode !== null) throw new Error(`Unbound:\n${log}`);
  const control = (...args: string[]) => namespace.must("unbound-control", ["-c", config, ...args]);
  return {
    log: () => log,
    flush: async (zone) => void (await control("flush_zone", zone)),
    statistics: () => control("stats_noreset"),
  };
}

function configuration(folder: string, { address }: UnboundWish): string {
  return `server:
  interface: ${address}
  port: 53
  do-ip6: no
  username: ""
  chroot: ""
  directory: "${folder}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  verbosity: 1
  val-log-level: 2
  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  root-hints: "${folder}/root.hints"
  trust-anchor-file: "${folder}/root.key"
  local-zone: "test." nodefault
  module-config: "validator iterator"
  edns-buffer-size: 1232
  trust-anchor-signaling: no
  serve-expired: no
  aggressive-nsec: no
remote-control:
  control-enable: yes
  control-interface: "${folder}/control"
  control-use-cert: no
`;
}
