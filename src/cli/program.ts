/**
 * The command line: which commands there are, their words, and their exit codes. Each command's work is in a file of
 * its own. A word that is not understood ends with 64, and nothing is done.
 */
import { Command, CommanderError } from "commander";
import { check } from "./check.ts";
import { demo } from "./demo.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { doctor } from "./doctor.ts";
import { erase } from "./erase.ts";
import { explain, type ExplainOptions } from "./explain.ts";
import { addImport } from "./import-command.ts";
import { addKeyCommands } from "./key-commands.ts";
import { probe, type ProbeOptions } from "./probe.ts";
import { addQueueCommands } from "./queue-commands.ts";
import { promote, type PromoteOptions } from "./promote.ts";
import { reload } from "./reload.ts";
import { addSigning, type Running } from "./signing-commands.ts";
import { start } from "./start.ts";
import { tlsProfiles } from "./tls-profiles.ts";
import { tlsa, type TlsaOptions } from "./tlsa.ts";
import { trace } from "./trace.ts";
import { usersAdd } from "./users.ts";

/** `args` are those after the program's name. Resolves with the exit code; rejects only for a defect. */
export async function runCli(args: readonly string[], deps: CliDeps): Promise<number> {
  const { program, code } = createProgram(deps);
  try {
    await program.parseAsync([...args], { from: "user" });
    return code();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? EXIT.good : EXIT.usage;
  }
}

type Run<Args extends unknown[]> = (common: Common, ...args: Args) => ExitCode | Promise<ExitCode>;

export function createProgram(deps: CliDeps): { readonly program: Command; readonly code: () => ExitCode } {
  let code: ExitCode = EXIT.good;
  const program = new Command("sealpost");
  const running =
    <Args extends unknown[]>(run: Run<Args>) =>
    async (...given: [...Args, unknown, Command]): Promise<void> => {
      const command = given.at(-1) as Command;
      const { config, json = false } = command.optsWithGlobals<{ config: string; json?: boolean }>();
      code = await run({ config, json }, ...(given.slice(0, -2) as Args));
    };
  program
    .description("SMTP relay gateway that enforces TLS: mail leaves over proven encryption, or it waits.")
    .option(
      "-c, --config <file>",
      "the configuration ($SEALPOST_CONFIG)",
      deps.env["SEALPOST_CONFIG"] ?? "config/sealpost.yaml",
    )
    .option("--json", "answer for machines; lists one object a line")
    .version(deps.version)
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void deps.stdout.write(text),
      writeErr: (text) => void deps.stderr.write(text),
    })
    .exitOverride()
    .showHelpAfterError("(sealpost --help, or sealpost COMMAND --help)");
  addGateway(program, deps, running);
  addQuestions(program, deps, running);
  addQueueCommands(program, deps, running);
  addHistory(program, deps, running);
  addKeyCommands(program, deps, running);
  addImport(program, deps, running);
  addOthers(program, deps, running);
  addSigning(program, deps, running);
  addLater(program, deps, (later) => {
    code = later;
  });
  return { program, code: () => code };
}

function addGateway(program: Command, deps: CliDeps, running: Running): void {
  program
    .command("start")
    .description("run the gateway in the foreground; SIGTERM ends it, SIGHUP reloads")
    .action(running<[]>((common) => start(deps, common)));
  program
    .command("check")
    .description("say all that is wrong in the configuration, or what it sets up")
    .action(running<[]>((common) => check(deps, common)));
  program
    .command("reload")
    .description("make the running gateway read its configuration anew")
    .action(running<[]>((common) => reload(deps, common)));
  program
    .command("version")
    .description("say which version this is")
    .action(
      running<[]>((common) => {
        if (common.json) printJson(deps, { version: deps.version, node: process.versions.node });
        else deps.stdout.write(`${deps.version}\n`);
        return EXIT.good;
      }),
    );
  program
    .command("demo")
    .description("show it all on this machine: a gateway, partners good and bad, and mail")
    .action(running<[]>((common) => demo(deps, common)));
}

/** What would happen, before mail is at stake. */
function addQuestions(program: Command, deps: CliDeps, running: Running): void {
  const explained = program
    .command("explain")
    .argument("<address>", "a recipient")
    .description("show what mail to a recipient must prove, the line that says so, and what is published");
  explained
    .option("--offline", "ask no resolver")
    .option("--headers <file>", "a message: show what becomes of its header, before and after")
    .option("--sender <address>", "with --headers: the envelope sender; else the one in From; <> is the null sender")
    .action(
      running<[string]>((common, address) =>
        explain(deps, common, { ...explained.opts<Omit<ExplainOptions, "address">>(), address }),
      ),
    );
  const probed = program
    .command("probe")
    .argument("<domain>", "where mail would go")
    .description("try every mail host of a domain as a delivery would, without mail");
  probed
    .option("--host <host>", "only this one, by name or address")
    .option("--level <level>", "as if the policy had this level")
    .option("--transcript", "show the dialogue")
    .option("--release", "when mail can go, try what waits for the domain at once")
    .action(
      running<[string]>((common, domain) =>
        probe(deps, common, { ...probed.opts<Omit<ProbeOptions, "domain">>(), domain }),
      ),
    );
  const promoted = program
    .command("promote")
    .argument("<partner>", "the partner file's name without .yaml")
    .description("what report mode has shown of a partner; then its policy is enforced");
  promoted
    .option("--direction <direction>", "outbound")
    .option("--dry-run", "show what would be changed, and change nothing")
    .option("--yes", "ask nothing")
    .action(running<[string]>((common, id) => promote(deps, common, id, promoted.opts<PromoteOptions>())));
  program
    .command("doctor")
    .description("look for what could keep mail waiting on our own side, and what to do about it")
    .action(running<[]>((common) => doctor(deps, common)));
}

function addHistory(program: Command, deps: CliDeps, running: Running): void {
  const traced = program
    .command("trace")
    .argument("<query>", "a queue id, a Message-ID, or an address")
    .description("what became of a message")
    .option("--why <text>", "goes into the log");
  traced.action(running<[string]>((common, query) => trace(deps, common, query, traced.opts<{ why?: string }>())));
  const erasing = program
    .command("erase")
    .argument("<address>", "a whole address")
    .description("take an address out of the history")
    .option("--why <text>", "goes into the log, without the address");
  erasing.action(
    running<[string]>((common, address) => erase(deps, common, address, erasing.opts<{ why?: string }>())),
  );
}

function addOthers(program: Command, deps: CliDeps, running: Running): void {
  program
    .command("tls")
    .description("TLS profiles")
    .command("profiles")
    .argument("[name]", "one of them")
    .description("what each profile leaves in effect")
    .action(running<[string?]>((common, name) => tlsProfiles(deps, common, name)));
  const records = program
    .command("tlsa")
    .argument("<file>", "a certificate of ours with its chain (PEM)")
    .description("the TLSA records for it, ready to be pasted into a zone");
  records
    .option("--port <port>", "where we are reached", "25")
    .option("--name <host>", "our name in the MX record; else the names in the certificate")
    .action(
      running<[string]>((common, file) => tlsa(deps, common, { ...records.opts<Omit<TlsaOptions, "file">>(), file })),
    );
  const add = program
    .command("users")
    .description("who may log in")
    .command("add")
    .argument("<name>", "the user's name")
    .description("add a user; the password is asked for, or read from standard input");
  add
    .option("--senders <senders...>", "permitted senders: own, any, or addresses as *@example.org", ["own"])
    .option("--file <file>", "the users file, where the configuration names several or none")
    .option("--replace", "give a user who is there a new password")
    .action(running<[string]>((common, name) => usersAdd(deps, common, { ...add.opts<object>(), name })));
}

const LATER = ["report"];
const LATER_IN_QUEUE = ["migrate"];

/** Known names that nothing stands behind yet, so that nobody takes them for a misspelling. */
function addLater(program: Command, deps: CliDeps, end: (code: ExitCode) => void): void {
  const queue = program.commands.find((command) => command.name() === "queue");
  const later = [
    ...LATER.map((name) => [program, name] as const),
    ...LATER_IN_QUEUE.map((name) => [queue, name] as const),
  ];
  for (const [parent, name] of later) {
    parent
      ?.command(name, { hidden: true })
      .allowUnknownOption()
      .allowExcessArguments()
      .helpOption(false)
      .action(() =>
        end(refuse(deps, EXIT.usage, [`${parent === program ? "" : "queue "}${name} is not available yet.`])),
      );
  }
}
