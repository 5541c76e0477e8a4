/** A private HAProxy that hands connections on with a PROXY header, version 1 or 2, from a source address of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort, listening } from "./processes.ts";
import type { Workbench } from "./workbench.ts";

export interface Haproxy {
  /** Port on 127.0.0.1 that forwards with PROXY v1. */
  readonly v1: number;
  readonly v2: number;
}

export async function startHaproxy(bench: Workbench, target: { port: number; source: string }): Promise<Haproxy> {
  const folder = await bench.folder("haproxy");
  const [v1, v2] = [await freePort(), await freePort()];
  const listen = (name: string, port: number, header: string) =>
    `listen ${name}\n  bind 127.0.0.1:${port}\n  server gateway 127.0.0.1:${target.port} ${header} source ${target.source}\n`;
  const file = join(folder, "haproxy.cfg");
  await writeFile(
    file,
    [
      "global\n  maxconn 100\n",
      "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n",
      listen("first", v1, "send-proxy"),
      listen("second", v2, "send-proxy-v2"),
    ].join(""),
  );
  const child = spawn("haproxy", ["-db", "-f", file], { stdio: "ignore" });
  const ended = once(child, "exit");
  bench.atEnd(async () => {
    child.kill("SIGTERM");
    await ended;
  });
  await listening("127.0.0.1", v1);
  await listening("127.0.0.1", v2);
  return { v1, v2 };
}
