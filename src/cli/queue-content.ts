/**
 * `sealpost queue show ID --content`: what a message says, where `admin.content_access` permits that. Octet for octet into
 * a pipe or a file; on a terminal its control characters are shown, not obeyed.
 */
import type { QueueActions } from "../admin/queue-actions.ts";
import type { ContentAsked } from "../admin/queue-content.ts";
import { StoreError } from "../store/queue.ts";
import { BrokenOff } from "./admin-client.ts";
import { type CliDeps, EXIT, type ExitCode, refuse } from "./deps.ts";
import { printable } from "./text.ts";

export async function printContent(
  deps: CliDeps,
  actions: Pick<QueueActions, "content">,
  asked: ContentAsked,
): Promise<ExitCode> {
  const found = await actions.content(asked);
  switch (found.kind) {
    case "shown":
      return print(deps, found.chunks);
    case "denied":
      return refuse(deps, EXIT.no, ["Nobody may look at what messages say: admin.content_access is false."]);
    case "missing":
      return refuse(deps, EXIT.no, [`There is no ${JSON.stringify(asked.id)} in the queue.`]);
    case "damaged":
      return refuse(deps, EXIT.no, [DAMAGED]);
    case "no-reason":
      return refuse(deps, EXIT.usage, ['Why? Give --why "…".']);
  }
}

const DAMAGED = "The stored content fails authentication: restore data_dir from a backup, or remove the message.";

async function print({ stdout, stderr }: CliDeps, chunks: AsyncIterable<Buffer>): Promise<ExitCode> {
  const decoder = new TextDecoder();
  let rest = "";
  const show = (text: string): void => {
    const lines = `${rest}${text}`.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) stdout.write(`${shown(line)}\n`);
  };
  try {
    for await (const chunk of chunks) {
      if (stdout.isTTY === true) show(decoder.decode(chunk, { stream: true }));
      else stdout.write(chunk);
    }
    if (rest !== "") stdout.write(`${shown(rest)}\n`);
    return EXIT.good;
  } catch (error) {
    if (error instanceof StoreError && error.kind === "damaged") stderr.write(`${DAMAGED}\n`);
    else if (error instanceof BrokenOff) stderr.write(`${error.message} What is above is not whole.\n`);
    else throw error;
    return EXIT.no;
  }
}

function shown(line: string): string {
  return line.replace(/\r$/, "").split("\t").map(printable).join("\t");
}
