/**
 * The queue's side of its database thread: calls with answers, and a new thread when the old one has ended.
 * A call is never sent twice: when the thread ends under it, it fails and its effect is in doubt until reopening.
 */
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { Clock } from "../runtime/clock.ts";
import { StoreError } from "./queue.ts";
import type { Answer, CallKind, Calls, EngineOpened, EngineStart } from "./sqlite-protocol.ts";

export interface Link {
  readonly call: <K extends CallKind>(kind: K, input: Calls[K]["in"], hand?: ArrayBuffer[]) => Promise<Calls[K]["out"]>;
  readonly up: () => boolean;
  readonly close: () => Promise<void>;
}

/** The call was sent, and whether it took effect is unknown until the engine has been opened anew. */
export class InDoubt extends StoreError {
  constructor(message: string) {
    super("failed", message);
    this.name = "InDoubt";
  }
}

export interface LinkDeps {
  readonly clock: Clock;
  /** What to open with, asked before each opening. */
  readonly start: () => EngineStart;
  /** Once the engine is open again. */
  readonly onReopened: (opened: EngineOpened & { kind: "open" }) => void;
}

const REOPEN_MS = 1_000;

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: StoreError) => void;
}

/** Resolves with what the first opening said; when that is a refusal the link is dead. */
export async function openLink(deps: LinkDeps): Promise<{ link: Link; opened: EngineOpened }> {
  const waiting = new Map<number, Waiting>();
  let worker: Worker | undefined;
  let number = 0;
  let closed = false;
  let down = "it is being opened";

  const settle = (answers: readonly Answer[]): void => {
    for (const answer of answers) {
      const call = waiting.get(answer.number);
      waiting.delete(answer.number);
      if (!("failure" in answer)) call?.resolve(answer.value);
      else {
        const { kind, message, fatal } = answer.failure;
        if (fatal) {
          worker = undefined; // it is ending: nothing more is sent to it
          down = message;
        }
        call?.reject(fatal ? new InDoubt(message) : new StoreError(kind, message));
      }
    }
  };
  const ended = (defect: string | undefined): void => {
    worker = undefined;
    down = defect ?? down;
    const lost = [...waiting.values()];
    waiting.clear();
    for (const { reject } of lost) reject(new InDoubt(`The queue's database thread has ended: ${down}`));
    if (!closed) deps.clock.after(REOPEN_MS, reopen);
  };
  const open = async (): Promise<EngineOpened> => {
    const { started, opened, defect } = spawn(deps.start(), settle);
    const result = await opened;
    if (closed) await started.terminate();
    else if (result.kind === "open") {
      worker = started;
      started.once("exit", () => ended(defect()));
    } else down = result.message;
    return result;
  };
  const reopen = (): void => {
    if (closed) return;
    open()
      .then((opened) => {
        if (closed) return;
        if (opened.kind === "open") deps.onReopened(opened);
        else deps.clock.after(REOPEN_MS, reopen);
      })
      .catch(() => deps.clock.after(REOPEN_MS, reopen));
  };

  const call: Link["call"] = (kind, input, hand = []) => {
    const to = worker;
    if (to === undefined || closed) {
      const why = closed ? "The queue is closed" : `The queue's database is down: ${down}`;
      return Promise.reject(new StoreError("failed", why));
    }
    number += 1;
    const mine = number;
    return new Promise((resolve, reject) => {
      waiting.set(mine, { resolve: resolve as Waiting["resolve"], reject });
      to.postMessage({ number: mine, kind, input }, hand);
    });
  };
  const opened = await open();
  const close = async (): Promise<void> => {
    if (closed) return;
    const last = worker;
    const done = call("close", null).catch(() => undefined);
    closed = true;
    await done;
    if (last !== undefined) await last.terminate();
  };
  return { opened, link: { call, up: () => worker !== undefined && !closed, close } };
}

function spawn(
  start: EngineStart,
  settle: (answers: readonly Answer[]) => void,
): { started: Worker; opened: Promise<EngineOpened>; defect: () => string | undefined } {
  // The thread runs the same kind of file as this one: .ts in a checkout, .js when compiled.
  const file = new URL(`./sqlite-worker${extname(import.meta.url)}`, import.meta.url);
  const started = new Worker(file, { name: "queue", workerData: start, env: {} });
  const opened = new Promise<EngineOpened>((resolve, reject) => {
    started.once("message", (first: EngineOpened) => {
      started.on("message", settle);
      resolve(first);
    });
    started.once("exit", () => reject(new StoreError("failed", "The queue's database thread ended while opening")));
  });
  let thrown: string | undefined;
  // A defect that ends the thread arrives as an error event first; without a listener it would end the process.
  started.on("error", (error) => {
    thrown = error instanceof Error ? (error.stack ?? error.message) : String(error);
  });
  return { started, opened, defect: () => thrown };
}
