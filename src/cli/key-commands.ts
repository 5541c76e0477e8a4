/** The words of `sealpost key`. */
import type { Command } from "commander";
import type { CliDeps } from "./deps.ts";
import { keyRotate, keyShow } from "./key-rotate.ts";
import type { Running } from "./signing-commands.ts";

export function addKeyCommands(program: Command, deps: CliDeps, running: Running): void {
  const key = program.command("key").description("the key that seals the queue");
  key
    .command("show")
    .description("which key is in force, and what still needs an older one")
    .action(running<[]>((common) => keyShow(deps, common)));
  const rotate = key
    .command("rotate")
    .description("put a new key in force, and wait until nothing needs the old one")
    .option("--why <text>", "goes into the log");
  rotate.action(running<[]>((common) => keyRotate(deps, common, rotate.opts<{ why?: string }>())));
}
