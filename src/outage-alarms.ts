/** Alarms of what others no longer answer: raised once, cleared once when they answer again. */
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";

export interface OutageAlarms {
  /** `remedy` tells what is out, what follows from it, and what to do. */
  readonly down: (what: string, remedy: string) => void;
  readonly up: (what: string, remedy: string) => void;
}

const MOST = 1000;

export function createOutageAlarms(deps: {
  readonly clock: Pick<Clock, "now">;
  readonly emit: Emit;
  readonly code: string;
}): OutageAlarms {
  const { clock, emit, code } = deps;
  /** Since when, in ISO 8601. */
  const raised = new Map<string, string>();
  return {
    down: (what, remedy) => {
      if (raised.has(what) || raised.size >= MOST) return;
      const since = new Date(clock.now()).toISOString();
      raised.set(what, since);
      emit("alarm", { code, partner: null, state: "raised", since, until: undefined, remedy });
    },
    up: (what, remedy) => {
      const since = raised.get(what);
      if (since === undefined) return;
      raised.delete(what);
      const until = new Date(clock.now()).toISOString();
      emit("alarm", { code, partner: null, state: "cleared", since, until, remedy });
    },
  };
}
