/** The command line wired as in production, with its outputs collected and its signals sent by the test. */
import { hashPassword } from "../../src/accept/passwords.ts";
import type { CliDeps, StartOptions } from "../../src/cli/deps.ts";
import { runCli } from "../../src/cli/program.ts";
import { openStoppedQueue } from "../../src/cli/stopped-queue.ts";
import { diskFiles, withEdited } from "../../src/config/files.ts";
import { loadConfig } from "../../src/config/load.ts";
import { selfSigned } from "../../src/config/self-signed.ts";
import { startGateway } from "../../src/gateway.ts";
import { createOutside } from "../../src/outside.ts";
import { createStoppedDesk } from "../../src/queue-desk.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { systemRandom } from "../../src/runtime/random.ts";

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

export function cliDeps(
  cwd: string,
  over: Partial<CliDeps> = {},
): CliDeps & { readonly seen: { out: string; error: string } } {
  const seen = { out: "", error: "" };
  const env = over.env ?? {};
  const parts = { env, clock: systemClock, selfSigned };
  const load = (file: string, generation?: number) => loadConfig(file, { ...parts, files: diskFiles }, generation);
  return {
    seen,
    stdout: { write: (text) => void (seen.out += textOf(text)) },
    stderr: { write: (text) => void (seen.error += textOf(text)) },
    stdin: (async function* () {})(),
    env,
    cwd,
    clock: systemClock,
    random: systemRandom,
    version: "0.1.0",
    loadConfig: (file, edited) =>
      edited === undefined ? load(file) : loadConfig(file, { ...parts, files: withEdited(edited) }),
    startGateway: ({ configFile, ...rest }: StartOptions) =>
      startGateway({
        clock: systemClock,
        random: systemRandom,
        version: "0.1.0",
        loadConfig: (generation) => load(configFile, generation),
        ...rest,
      }),
    openQueue: (settings) => openStoppedQueue(settings, { clock: systemClock, random: systemRandom }),
    queueActions: (settings, opened) =>
      createStoppedDesk(settings, opened, { clock: systemClock, random: systemRandom }),
    openOutside: (settings) => createOutside(settings, { clock: systemClock, random: systemRandom }),
    hashPassword: (password) => hashPassword(password, systemRandom),
    onSignal: () => undefined,
    ...over,
  };
}

export async function run(cwd: string, args: readonly string[], over: Partial<CliDeps> = {}): Promise<Ran> {
  const deps = cliDeps(cwd, over);
  const code = await runCli(args, deps);
  return { code, ...deps.seen };
}

function textOf(written: string | Uint8Array): string {
  return typeof written === "string" ? written : Buffer.from(written).toString("latin1");
}
