/**
 * The command line: gives each command the process around it and the parts of the gateway. The launcher
 * (bin/sealpost.mjs) imports this file; in a checkout `node src/main.ts COMMAND` does the same.
 */
import { readFileSync } from "node:fs";
import { hashPassword } from "./accept/passwords.ts";
import { openStoppedQueue } from "./cli/stopped-queue.ts";
import { runCli } from "./cli/program.ts";
import { diskFiles, withEdited } from "./config/files.ts";
import { loadConfig } from "./config/load.ts";
import { selfSigned, type SelfSignedRequest } from "./config/self-signed.ts";
import { startGateway } from "./gateway.ts";
import { createOutside } from "./outside.ts";
import { createStoppedDesk } from "./queue-desk.ts";
import { systemClock } from "./runtime/clock.ts";
import { keepAlive } from "./runtime/keep-alive.ts";
import { systemRandom } from "./runtime/random.ts";

process.umask(0o077); // nothing that we make is for others
for (const output of [process.stdout, process.stderr]) {
  output.on("error", () => undefined); // whoever read it has gone, as `head` does; the log has its own way out
}

const clock = systemClock;
const random = systemRandom;
const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};
const { env } = process;
const parts = { files: diskFiles, env, clock };
/** Commands only look: they leave no file that a gateway under another user could not read. */
const look = { ...parts, selfSigned: (request: SelfSignedRequest) => selfSigned({ ...request, keep: false }) };

const letGo = keepAlive(); // a command that only waits would else end the process, and with exit code 0
process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env,
  cwd: process.cwd(),
  clock,
  random,
  version,
  loadConfig: (file, edited) => loadConfig(file, edited === undefined ? look : { ...look, files: withEdited(edited) }),
  startGateway: ({ configFile, ...rest }) =>
    startGateway({
      clock,
      random,
      version,
      loadConfig: (generation) => loadConfig(configFile, { ...parts, selfSigned }, generation),
      ...rest,
    }),
  openQueue: (settings) => openStoppedQueue(settings, { clock, random }),
  queueActions: (settings, opened) => createStoppedDesk(settings, opened, { clock, random }),
  openOutside: (settings) => createOutside(settings, { clock, random }),
  hashPassword: (password) => hashPassword(password, random),
  onSignal: (signal, run) => void process.on(signal, run),
});
// A pipe takes what its reader has room for; the rest would be lost with the process.
for (const output of [process.stdout, process.stderr])
  await new Promise<void>((written) => void output.write("", () => written()));
letGo();
// What still holds the process (a socket of a peer, a timer) has nothing left to do.
process.exit();
