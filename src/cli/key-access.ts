/** Where the queue key is changed: by the running gateway, asked over HTTP, or by this process in a store that is stopped. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createKeyActions, type KeyActions } from "../admin/key-actions.ts";
import type { Settings } from "../config/settings.ts";
import type { KeyState, Rotated } from "../store/key-rotation.ts";
import { type AdminAnswer, type AdminClient, findGateway } from "./admin-client.ts";
import { type CliDeps, EXIT, type ExitCode, refuse } from "./deps.ts";
import { logOf } from "./queue-access.ts";

type Act = (actions: KeyActions) => Promise<ExitCode>;

export async function withKeys(deps: CliDeps, settings: Settings, act: Act): Promise<ExitCode> {
  const client = await findGateway(settings);
  if (client !== undefined && (await client.isAlive())) return overGateway(deps, client, act);
  if (!existsSync(join(settings.dataDir, "queue.db")))
    return refuse(deps, EXIT.no, [`There is no queue in ${settings.dataDir} yet: its key is made with it.`]);
  const opened = await deps.openQueue(settings);
  if (!opened.ok) return refuse(deps, opened.exitCode, opened.lines);
  const log = await logOf(deps, settings);
  try {
    return await act(createKeyActions({ keys: opened.keys, emit: log.emit }));
  } finally {
    await log.flush();
    await opened.close();
  }
}

async function overGateway(deps: CliDeps, client: AdminClient, act: Act): Promise<ExitCode> {
  try {
    return await act(overHttp(client));
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error;
    return refuse(deps, error.code, [error.message]);
  }
}

/** Carries an answer that is none out of an action, whose callers know only results. */
class Unanswered extends Error {
  readonly code: ExitCode;
  constructor(code: ExitCode, message: string) {
    super(message);
    this.code = code;
  }
}

function overHttp(client: AdminClient): KeyActions {
  return {
    state: async () => {
      const answer = await client.get("/api/v1/key");
      if (answer.kind !== "done") throw unanswered(answer);
      return answer.body as unknown as KeyState;
    },
    rotate: async ({ why }) => {
      const answer = await client.post("/api/v1/key/rotate", { ...(why !== undefined && { why }) });
      const { kind, body } = answer.kind === "unreachable" ? { kind: "unreachable", body: {} } : answer;
      if (kind !== "unreachable" && "kind" in body) return body as unknown as Rotated;
      throw unanswered(answer);
    },
  };
}

function unanswered(answer: AdminAnswer): Unanswered {
  if (answer.kind === "unreachable") return new Unanswered(EXIT.unreachable, answer.detail);
  const { error, remedy } = answer.body;
  return new Unanswered(EXIT.unreachable, `${String(error)}. ${String(remedy)}`);
}
