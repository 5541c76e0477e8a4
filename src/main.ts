/** The command line. Temporarily: `start` alone. */
import { diskFiles } from "./config/files.ts";
import { loadConfig } from "./config/load.ts";
import { selfSigned } from "./config/self-signed.ts";
import { startGateway } from "./gateway.ts";
import { systemClock } from "./runtime/clock.ts";
import { systemRandom } from "./runtime/random.ts";

const at = process.argv.indexOf("-c");
const file = (at > 0 ? process.argv[at + 1] : undefined) ?? "config/sealpost.yaml";
const deps = { files: diskFiles, env: process.env, clock: systemClock, selfSigned };
const started = await startGateway({
  clock: systemClock,
  random: systemRandom,
  version: "0.1.0",
  loadConfig: (generation) => loadConfig(file, deps, generation),
});
if (started.ok) {
  process.on("SIGHUP", () => void started.gateway.reload());
  for (const signal of ["SIGTERM", "SIGINT"] as const)
    process.once(signal, () => void started.gateway.stop(signal).then(() => process.exit(0)));
} else {
  for (const line of started.lines) process.stderr.write(`${line}\n`);
  process.exitCode = started.exitCode;
}
