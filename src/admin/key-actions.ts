/**
 * What a person may do about the queue key, with the same words everywhere: the running gateway over HTTP, the command
 * line on a stopped one. Says ids of keys, which tell nothing about them.
 */
import type { Emit } from "../report/events.ts";
import type { KeyRotation, KeyState, Rotated } from "../store/key-rotation.ts";
import type { Asker } from "./who.ts";

export interface KeyActions {
  readonly state: () => Promise<KeyState>;
  /** Puts a new key in force; what the old one wraps is wrapped anew in the background. */
  readonly rotate: (asker: Asker) => Promise<Rotated>;
}

export function createKeyActions({
  keys,
  emit,
}: {
  readonly keys: Pick<KeyRotation, "state" | "rotate">;
  readonly emit: Emit;
}): KeyActions {
  return {
    state: keys.state,
    rotate: async (asker) => {
      const rotated = await keys.rotate();
      emit("admin.action", { action: "key rotate", ...asker, detail: sentenceOf(rotated) });
      return rotated;
    },
  };
}

function sentenceOf(rotated: Rotated): string {
  switch (rotated.kind) {
    case "started":
      return `queue key ${rotated.keyId} is in force, ${rotated.former} was`;
    case "busy":
      return "refused: the last rotation has not ended";
    case "failed":
      return `failed: ${rotated.detail}`;
  }
}
