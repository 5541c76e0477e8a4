/**
 * Reads a new password: twice and without echo on a terminal, else the first line of standard input. Never from the
 * command line, which other users of the machine can see.
 */
import type { CliDeps } from "./deps.ts";

/** Undefined when the two differ, or it was broken off. */
export async function askPassword(deps: CliDeps): Promise<string | undefined> {
  const lines = readLines(deps);
  try {
    if (deps.stdin.isTTY !== true) return (await lines.next()).value ?? "";
    deps.stdin.setRawMode?.(true);
    deps.stderr.write("Password: ");
    const first = (await lines.next()).value;
    deps.stderr.write("\nThe same again: ");
    const second = first === undefined ? undefined : (await lines.next()).value;
    deps.stderr.write("\n");
    return first === second ? first : undefined;
  } finally {
    deps.stdin.setRawMode?.(false);
    await lines.return?.(undefined); // lets the process end
  }
}

/** Lines as typed: Ctrl-C and Ctrl-D end it, backspace takes back. */
async function* readLines(deps: CliDeps): AsyncGenerator<string, undefined> {
  const raw = deps.stdin.isTTY === true;
  const decoder = new TextDecoder();
  let line = "";
  for await (const chunk of deps.stdin) {
    for (const char of typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true })) {
      if (char === "\n" || (raw && char === "\r")) {
        yield line.replace(/\r$/, "");
        line = "";
      } else if (raw && (char === "\u0003" || char === "\u0004")) return undefined;
      else if (raw && (char === "\u007f" || char === "\b")) line = line.replace(/.$/su, "");
      else line += char;
    }
  }
  if (line !== "") yield line;
  return undefined;
}
