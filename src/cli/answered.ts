/** Answers of the gateway that are none, carried out of actions whose callers know only results. */
import type { AdminAnswer } from "./admin-client.ts";
import { type CliDeps, EXIT, type ExitCode, refuse } from "./deps.ts";

export class Unanswered extends Error {
  readonly code: ExitCode;
  constructor(code: ExitCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The body of a good answer; throws Unanswered for any other. */
export function bodyOf(answer: AdminAnswer): Readonly<Record<string, unknown>> {
  switch (answer.kind) {
    case "done":
      return answer.body;
    case "unreachable":
      throw new Unanswered(EXIT.unreachable, answer.detail);
    case "refused": {
      const { error, remedy } = answer.body;
      const code = answer.status === 400 ? EXIT.usage : EXIT.unreachable;
      throw new Unanswered(code, `${String(error)}. ${String(remedy)}`);
    }
  }
}

/** Says why the gateway gave no answer, where it gave none. */
export async function answered(deps: CliDeps, ask: () => Promise<ExitCode>): Promise<ExitCode> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    return refuse(deps, error.code, [error.message]);
  }
}
