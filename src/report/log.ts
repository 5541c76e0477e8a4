/**
 * The log: one JSON object per line, and the only place that knows pino. A line never holds content or a secret, for
 * no event has a field for either. Writing never blocks and never throws: a reader that is gone or too slow costs
 * lines, not mail. What was lost is told as soon as there is room again.
 */
import { pino, type DestinationStream } from "pino";
import type { Clock } from "../runtime/clock.ts";
import type { Emit } from "./events.ts";
import { addressMask, maskFields } from "./mask-addresses.ts";
import { levelOf, sentenceOf } from "./sentence.ts";
import type { LogSettings } from "./settings.ts";

export interface LogDeps {
  readonly clock: Clock;
  /** Our host name. */
  readonly gateway: string;
  /** 0 is the primary. */
  readonly worker: number;
  /** Keys the hashes of `addresses: hash`; secret, and the same for the life of the gateway. */
  readonly hashKey: Buffer;
  /** Instead of the place that the settings name. */
  readonly write?: (line: string) => void;
}

export interface Log {
  readonly emit: Emit;
  /** Resolves when everything written so far is out, or cannot be got out. */
  readonly flush: () => Promise<void>;
  /** Opens the log file anew, after a rotation; standard output is left alone. */
  readonly reopen: () => void;
  /** Level and addresses of a new configuration; the place needs a restart. */
  readonly use: (settings: LogSettings) => void;
}

/** Characters of lines that wait for a slow reader; more are dropped. */
const MOST_PENDING = 16 * 1024 * 1024;

export function createLog(settings: LogSettings, deps: LogDeps): Log {
  const sink = deps.write === undefined ? openSink(settings.to) : collector(deps.write);
  const logger = pino(
    {
      level: settings.level,
      base: { gateway: deps.gateway, worker: deps.worker },
      timestamp: () => `,"time":"${new Date(deps.clock.now()).toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line) => sink.write(escapeControls(line)) },
  );
  let mask = addressMask(settings.addresses, deps.hashKey);
  const emit: Emit = (event, fields) => {
    const masked = maskFields(fields, mask) as typeof fields;
    const line: object = { event, ...masked };
    logger[levelOf(event, masked)](line, sentenceOf(event, masked));
  };
  sink.onLost((lines) =>
    emit("error", { kind: "log", detail: `Nobody read the log fast enough: ${lines} lines lost` }),
  );
  return {
    emit,
    flush: sink.flush,
    reopen: sink.reopen,
    use: (next) => {
      logger.level = next.level;
      mask = addressMask(next.addresses, deps.hashKey);
    },
  };
}

interface Sink extends DestinationStream {
  readonly flush: () => Promise<void>;
  readonly reopen: () => void;
  /** Calls back with the number of lines dropped, once there is room again. */
  readonly onLost: (report: (lines: number) => void) => void;
}

function openSink(to: LogSettings["to"]): Sink {
  const file = to === "stdout" ? undefined : to.file;
  // Addresses are personal data: not for everyone on the machine.
  const place = file === undefined ? { dest: 1 } : { dest: file, mkdir: true, mode: 0o600 };
  // With a minLength of 0 flush would answer without having written.
  const stream = pino.destination({ ...place, sync: false, minLength: 1, maxLength: MOST_PENDING });
  let lost = 0;
  stream.on("drop", () => {
    lost += 1;
  });
  // pino itself mutes a broken pipe; no other failure of the log may end the gateway either.
  stream.on("error", () => undefined);
  return {
    write: (line) => {
      stream.write(line);
    },
    flush: () => new Promise((resolve) => stream.flush(() => resolve())),
    reopen: () => {
      if (file !== undefined) stream.reopen();
    },
    onLost: (report) => {
      stream.on("drain", () => {
        const lines = lost;
        lost = 0;
        if (lines > 0) report(lines);
      });
    },
  };
}

function collector(write: (line: string) => void): Sink {
  return { write, flush: () => Promise.resolve(), reopen: () => undefined, onLost: () => undefined };
}

/** JSON leaves DEL, C1 and the direction marks as they are, and some terminals obey them. */
function escapeControls(line: string): string {
  return line.replace(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
