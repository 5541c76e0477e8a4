/** The words of `sealpost queue`. */
import type { Command } from "commander";
import type { Action } from "../admin/queue-query.ts";
import type { CliDeps } from "./deps.ts";
import { type Chosen, type Listed, queueAct, queueList, queueShow, type Shown } from "./queue.ts";
import type { Running } from "./signing-commands.ts";

export function addQueueCommands(program: Command, deps: CliDeps, running: Running): void {
  const queue = program.command("queue").description("see what waits and why, and act on it");
  const list = filtered(
    queue.command("list").description("what waits, with totals"),
    "why it waits, as certificate-expired",
  );
  list
    .option("--limit <number>", "how many are shown; totals are of all. With --json: all unless given")
    .action(running<[]>((common) => queueList(deps, common, list.opts<Listed>())));
  const show = queue
    .command("show")
    .argument("<id>", "a queue id, or that of a delivery")
    .description("all about one message, but its content");
  show
    .option("--content", "what it says, where admin.content_access permits that; needs --why")
    .option("--why <text>", "goes into the log")
    .action(running<[string]>((common, id) => queueShow(deps, common, id, show.opts<Shown>())));
  for (const { action, description, all, to } of ACTIONS) {
    const command = queue
      .command(action)
      .argument("[id]", "a queue id, or that of a delivery")
      .description(description);
    filtered(command, action === "remove" ? "why it is removed; goes into the log" : "why it waits");
    if (all !== undefined) command.option("--all", all);
    if (to) command.requiredOption("--to <hop>", 'where to: "[host.example]:25", a domain (its MX), mx, or policy');
    command
      .option("--why <text>", "goes into the log")
      .action(
        running<[string?]>((common, id) =>
          queueAct(deps, common, action, { ...command.opts<Omit<Chosen, "id">>(), id }),
        ),
      );
  }
}

interface Offered {
  readonly action: Action;
  readonly description: string;
  /** Absent: never done to everything. */
  readonly all?: string;
  readonly to?: true;
}

const ACTIONS: readonly Offered[] = [
  { action: "retry", description: "try again now", all: "everything that waits" },
  { action: "hold", description: "keep from being tried until released", all: "everything that waits" },
  { action: "release", description: "let what is held go, now", all: "everything that is held" },
  { action: "bounce", description: "end it; the sender gets a failure notice" },
  { action: "remove", description: "remove for good; the sender is not told" },
  { action: "reroute", description: "give it another next hop, under the same demands, and try it now", to: true },
];

function filtered(command: Command, reason: string): Command {
  return command
    .option("--domain <domain>", "of the recipients")
    .option("--partner <id>", "the partner file's name without .yaml")
    .option("--sender <address>", "the envelope sender; @example.org: all of a domain; <> is the null sender")
    .option("--recipient <address>", "one of the recipients")
    .option("--reason <reason>", reason)
    .option("--older-than <age>", "received longer ago than 30s, 15m, 4h, 2d");
}
