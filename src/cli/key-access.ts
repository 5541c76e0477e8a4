/** What is done with the queue key, whoever does it. */
import { createKeyActions, type KeyActions } from "../admin/key-actions.ts";
import type { Settings } from "../config/settings.ts";
import type { KeyState, Rotated } from "../store/key-rotation.ts";
import type { AdminClient } from "./admin-client.ts";
import { bodyOf } from "./answered.ts";
import { type CliDeps, EXIT, type ExitCode, refuse } from "./deps.ts";
import { inGatewayOrStore } from "./gateway-or-store.ts";

type Act = (actions: KeyActions) => Promise<ExitCode>;

export async function withKeys(deps: CliDeps, settings: Settings, act: Act): Promise<ExitCode> {
  const none = `There is no queue in ${settings.dataDir} yet: its key is made with it.`;
  return inGatewayOrStore(deps, settings, {
    running: (client) => act(overHttp(client)),
    empty: () => Promise.resolve(refuse(deps, EXIT.no, [none])),
    stopped: ({ keys }, emit) => act(createKeyActions({ keys, emit })),
  });
}

function overHttp(client: AdminClient): KeyActions {
  return {
    state: async () => bodyOf(await client.get("/api/v1/key")) as unknown as KeyState,
    rotate: async ({ why }) => {
      const answer = await client.post("/api/v1/key/rotate", { ...(why !== undefined && { why }) });
      // A rotation that did not end well has a result, too.
      if (answer.kind === "refused" && "kind" in answer.body) return answer.body as unknown as Rotated;
      return bodyOf(answer) as unknown as Rotated;
    },
  };
}
