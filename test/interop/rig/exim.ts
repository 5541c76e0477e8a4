/**
 * A private Exim that takes mail on loopback and hands everything to one next hop: what a relay of others does to a
 * message on its way. Configuration, spool and log in a temporary folder; it runs without root's rights, since the
 * program is unpacked beside Debian's packages. It is ended by its process id.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { alive, eventually, freePort, listening, must, processTree } from "./processes.ts";
import type { Workbench } from "./workbench.ts";

/** Where test/interop/install.sh puts it. */
export const EXIM = "/var/lib/sealpost-interop/exim/usr/sbin/exim4";
const USER = "Debian-exim";

export interface Exim {
  readonly address: string;
  readonly port: number;
  readonly log: () => string;
  /** The first part of the log that matches. */
  readonly logged: (pattern: RegExp, within?: number) => Promise<RegExpExecArray>;
  readonly stop: () => Promise<void>;
}

export interface EximWish {
  readonly nextHop: { readonly address: string; readonly port: number };
  /** Where it listens; default 127.0.0.1. */
  readonly address?: string;
  /** It offers CHUNKING to its clients and uses BDAT where the next hop offers it. Default: neither. */
  readonly chunking?: boolean;
  /** STARTTLS to the next hop: never, where offered (default), or not without it. Nothing is verified. */
  readonly tls?: "never" | "offered" | "demanded";
  /** Lines for the top part of its configuration. */
  readonly main?: readonly string[];
  /** Lines for its SMTP transport. */
  readonly transport?: readonly string[];
}

export async function startExim(bench: Workbench, wish: EximWish): Promise<Exim> {
  const folder = await bench.folder("exim");
  const address = wish.address ?? "127.0.0.1";
  const port = await freePort(address);
  for (const part of ["spool", "log"]) await mkdir(join(folder, part));
  const file = join(folder, "exim.conf");
  await writeFile(file, configuration(folder, { ...wish, address }, port));
  await must("chown", ["-R", `${USER}:${USER}`, join(folder, "spool"), join(folder, "log")]);
  const asUser = ["--reuid", USER, "--regid", USER, "--clear-groups", "--"];
  const child = spawn("setpriv", [...asUser, EXIM, "-C", file, "-bdf", "-q2s"], { stdio: "ignore" });
  const ended = once(child, "exit");
  const { pid } = child;
  if (pid === undefined) throw new Error("setpriv cannot be started");
  const log = () => ["main.log", "panic.log", "reject.log"].map((name) => read(join(folder, "log", name))).join("");
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    const tree = processTree(pid);
    child.kill("SIGTERM");
    await ended;
    const left = () => tree.filter(alive);
    await eventually("the end of Exim", () => left().length === 0, { seen: () => left().join(" ") });
  };
  bench.atEnd(stop);
  const failed = ended.then(([code]) => Promise.reject(new Error(`Exim ended with ${String(code)}:\n${log()}`)));
  failed.catch(() => undefined); // of interest until it listens
  await Promise.race([listening(address, port), failed]);
  const logged = (pattern: RegExp, within = 20_000) =>
    eventually(`${pattern} in Exim's log`, () => pattern.exec(log()) ?? undefined, { within, seen: log });
  return { address, port, log, logged, stop };
}

/** Asks no DNS and no ident, knows no local user, and lets everybody on loopback relay. */
function configuration(folder: string, wish: EximWish & { address: string }, port: number): string {
  const { nextHop, chunking = false, tls = "offered" } = wish;
  const everyone = (yes: boolean) => (yes ? "*" : "");
  return [
    "keep_environment =",
    `exim_path = ${EXIM}`, // it starts itself anew for each delivery
    `spool_directory = ${folder}/spool`,
    `log_file_path = ${folder}/log/%s.log`,
    `pid_file_path = ${folder}/spool/exim.pid`,
    "primary_hostname = exim.test",
    `local_interfaces = <; [${wish.address}]:${port}`,
    "tls_advertise_hosts =",
    `chunking_advertise_hosts = ${everyone(chunking)}`,
    "dkim_verify_signers =",
    "host_lookup =",
    "rfc1413_hosts =",
    "smtp_accept_max_per_connection = 0",
    "message_size_limit = 0",
    "queue_only = false",
    "accept_8bitmime = true",
    "acl_smtp_rcpt = accept",
    "acl_smtp_data = accept",
    ...(wish.main ?? []),
    "begin routers",
    "onward:",
    "  driver = manualroute",
    "  transport = smtp",
    `  route_list = * ${nextHop.address}::${nextHop.port} byname`,
    "  self = send",
    "begin transports",
    "smtp:",
    "  driver = smtp",
    `  hosts_try_chunking = ${everyone(chunking)}`,
    `  hosts_avoid_tls = ${everyone(tls === "never")}`,
    `  hosts_require_tls = ${everyone(tls === "demanded")}`,
    "  tls_try_verify_hosts =",
    "  message_linelength_limit = 1M", // or it would return what has longer lines than 998 octets
    ...(wish.transport ?? []).map((line) => `  ${line}`),
    "begin retry",
    "* * F,1h,2s",
    "",
  ].join("\n");
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // it has not written anything yet
  }
}
