/** Asks one question on standard error and reads one line. Only a whole yes is a yes; silence is none. */
import type { CliDeps } from "./deps.ts";

const LONGEST = 1_000;

export async function confirmed(deps: CliDeps, question: string): Promise<boolean> {
  deps.stderr.write(question);
  const decoder = new TextDecoder();
  let line = "";
  for await (const chunk of deps.stdin) {
    line += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    if (line.includes("\n") || line.length > LONGEST) break;
  }
  const [answer = ""] = line.split(/\r?\n/, 1);
  return /^(?:y|yes|j|ja)$/i.test(answer.trim());
}
