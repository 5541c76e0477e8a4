/** `import` as the command line has it. */
import type { Command } from "commander";
import type { CliDeps } from "./deps.ts";
import { importPostfix, type ImportOptions } from "./import-postfix.ts";
import type { Running } from "./signing-commands.ts";

export function addImport(program: Command, deps: CliDeps, running: Running): void {
  const policies = program
    .command("import")
    .description("take over what another mail server was told")
    .command("postfix-tls-policy")
    .argument("<file>", "the source of an smtp_tls_policy_maps table")
    .description("partner files out of Postfix's TLS policies, and what has no equal")
    .option("--transport <file>", "the source of transport_maps: next hops and whose they are")
    .option("--out <folder>", "write them there; else beside the other partner files")
    .option("--dry-run", "show them, write nothing");
  policies.action(
    running<[string]>((common, file) =>
      importPostfix(deps, common, { ...policies.opts<Omit<ImportOptions, "file">>(), file }),
    ),
  );
}
