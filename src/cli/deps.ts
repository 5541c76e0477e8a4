/**
 * What the commands are given: the process around them, and the parts of the gateway that main.ts wires. A command is
 * a function from this and its words to an exit code; none of them ends the process itself.
 */
import type { QueueActions } from "../admin/queue-actions.ts";
import type { Loaded, Settings } from "../config/settings.ts";
import type { Emit, Events } from "../report/events.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import type { HistoryStore } from "../store/history.ts";
import type { KeyRotation } from "../store/key-rotation.ts";
import type { QueueStore } from "../store/queue.ts";
import type { Outside } from "./outside.ts";

/** sysexits.h, as far as the contract uses it. */
export const EXIT = { good: 0, no: 1, usage: 64, unreachable: 69, configuration: 78 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Standard output or standard error. */
export interface Output {
  readonly write: (text: string | Uint8Array) => unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Standard input; `setRawMode` is there on a terminal. */
export interface Input extends AsyncIterable<Buffer | string> {
  readonly isTTY?: boolean;
  readonly setRawMode?: (raw: boolean) => unknown;
}

export interface Gateway {
  readonly listeners: Events["gateway.ready"]["listeners"];
  readonly admin: Events["gateway.ready"]["admin"];
  readonly reload: () => Promise<readonly string[]>;
  readonly reopenLog: () => void;
  readonly stop: (reason: string) => Promise<void>;
}

export type Started =
  | { readonly ok: true; readonly gateway: Gateway }
  | { readonly ok: false; readonly exitCode: 69 | 78; readonly lines: readonly string[] };

export interface StartOptions {
  readonly configFile: string;
  /** Takes the log lines instead of the place that the configuration names. */
  readonly write?: (line: string) => void;
}

/** The queue of a gateway that is stopped, locked against its start. */
export type OpenedQueue =
  | {
      readonly ok: true;
      readonly queue: QueueStore;
      readonly history: HistoryStore;
      readonly keys: KeyRotation;
      readonly close: () => Promise<void>;
    }
  | { readonly ok: false; readonly exitCode: 69 | 78; readonly lines: readonly string[] };

export interface CliDeps {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly stdin: Input;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly version: string;
  /** `edited`: one of its files, as if it said that. */
  readonly loadConfig: (file: string, edited?: EditedFile) => Promise<Loaded>;
  readonly startGateway: (options: StartOptions) => Promise<Started>;
  readonly openQueue: (settings: Settings) => Promise<OpenedQueue>;
  /** What people do with it, when the gateway is stopped. `ended` comes before it is closed. */
  readonly queueActions: (
    settings: Settings,
    opened: { readonly queue: QueueStore; readonly history: HistoryStore; readonly emit: Emit },
  ) => { readonly actions: QueueActions; readonly ended: () => Promise<void> };
  readonly openOutside: (settings: Settings) => Outside;
  /** `scrypt:N:r:p:SALT:HASH` of a new password. */
  readonly hashPassword: (password: string) => Promise<string>;
  /** `run` is called at each such signal to this process. */
  readonly onSignal: (signal: "SIGTERM" | "SIGINT" | "SIGHUP", run: () => void) => void;
}

export interface EditedFile {
  /** Absolute. */
  readonly file: string;
  readonly text: string;
}

/** Options that every command has. */
export interface Common {
  readonly config: string;
  readonly json: boolean;
}

/** Text for people goes to standard error, whatever it says. */
export function refuse(deps: CliDeps, code: ExitCode, lines: readonly string[]): ExitCode {
  for (const line of lines) deps.stderr.write(`${line}\n`);
  return code;
}

export function printJson(deps: CliDeps, value: unknown): void {
  deps.stdout.write(`${JSON.stringify(value)}\n`);
}
