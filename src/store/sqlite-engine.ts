/**
 * The database thread's work: opens the database and runs what has arrived, all writes of a batch in one transaction.
 * A failed batch fails every write in it. After an I/O error nothing is tried again: the thread ends, and opening anew recovers.
 */
import { DatabaseSync } from "node:sqlite";
import { migrate, SCHEMA_VERSION, schemaOf } from "./migrations/migrate.ts";
import { namedKeys } from "./sqlite-keys.ts";
import type { Answer, Call, CallFailure, EngineOpened, EngineStart } from "./sqlite-protocol.ts";
import { type Prepared, prepareStatements } from "./sqlite-statements.ts";

export interface Engine {
  readonly opened: EngineOpened;
  /** Answers in the order of the calls. `fatal`: the engine has closed itself. */
  readonly run: (calls: readonly Call[]) => { readonly answers: readonly Answer[]; readonly fatal: boolean };
}

const SQLITE = { busy: 5, locked: 6, ioError: 10, full: 13, constraint: 19 } as const;
const PAGE_BYTES = 4096;
/** Free pages worth giving back although space is not short. */
const MANY_FREE_PAGES = 4096;

export function openEngine(start: EngineStart): Engine {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(start.database, { timeout: 5_000, enableForeignKeyConstraints: true });
    const refused = refusal(database, start);
    if (refused !== undefined) {
      database.close();
      return { opened: refused, run: never };
    }
    return ready(database, start);
  } catch (error) {
    close(database);
    const message = `The queue's database ${start.database} cannot be opened: ${textOf(error)}`;
    return { opened: { kind: "refused", problem: "cannot-open", message }, run: never };
  }
}

/** Looks before anything is changed. */
function refusal(database: DatabaseSync, start: EngineStart): EngineOpened | undefined {
  const schema = schemaOf(database);
  if (schema > SCHEMA_VERSION) {
    const message = `The queue has schema ${schema}, written by a newer program; this one knows ${SCHEMA_VERSION}`;
    return { kind: "refused", problem: "newer-schema", message };
  }
  if (schema === 0) return undefined;
  const missing = namedKeys(database, schema).filter((id) => !start.keyIds.includes(id));
  if (missing.length === 0) return undefined;
  return { kind: "refused", problem: "key-wrong", message: `The queue is sealed with ${missing.join(", ")}`, missing };
}

function ready(database: DatabaseSync, start: EngineStart): Engine {
  // auto_vacuum takes effect only before the first table; free pages can then be given back when space is short.
  database.exec(`
    PRAGMA auto_vacuum = INCREMENTAL;
    PRAGMA secure_delete = ON;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = ${start.checkpointPages};
    PRAGMA journal_size_limit = ${start.checkpointPages * PAGE_BYTES};
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -8192;`);
  const made = migrate(database, start.keyIds[0] ?? "");
  const prepared = prepareStatements(database, made);
  transaction(database, () => prepared.settle(start));
  return {
    opened: { kind: "open", filed: prepared.filed(), store: prepared.looking.storeKeys(null) },
    run: (calls) => runBatch({ database, prepared }, calls),
  };
}

interface Parts {
  readonly database: DatabaseSync;
  readonly prepared: Prepared;
}

/** A transaction of their own: what fails here must not fail mail that came with it, nor end the engine. */
const BESIDE_MAIL: ReadonlySet<string> = new Set([
  "addHistory",
  "replaceHistory",
  "forgetHistory",
  "findHistory",
  "reportFigures",
]);

function runBatch(parts: Parts, calls: readonly Call[]): { answers: Answer[]; fatal: boolean } {
  const answers = new Map<number, Answer>();
  const { writing } = parts.prepared;
  const writes = calls.filter(({ kind }) => kind in writing && !BESIDE_MAIL.has(kind));
  const beside = calls.filter(({ kind }) => kind in writing && BESIDE_MAIL.has(kind));
  let broken: CallFailure | undefined;
  for (const together of [writes, beside]) {
    broken ??= attempt(answers, together, () =>
      transaction(parts.database, () => together.map((call) => write(parts, call))),
    );
  }
  for (const call of calls) {
    if (answers.has(call.number)) continue;
    if (broken === undefined && !(call.kind in writing)) broken = attempt(answers, [call], () => [read(parts, call)]);
    else if (broken !== undefined) answers.set(call.number, { number: call.number, failure: broken });
  }
  if (broken !== undefined) close(parts.database);
  return { answers: calls.flatMap(({ number }) => answers.get(number) ?? []), fatal: broken !== undefined };
}

/** Runs calls that stand or fall together. Returns the failure after which the engine must not go on. */
function attempt(
  answers: Map<number, Answer>,
  calls: readonly Call[],
  run: () => readonly unknown[],
): CallFailure | undefined {
  if (calls.length === 0) return undefined;
  try {
    const values = run();
    for (const [index, { number }] of calls.entries()) answers.set(number, { number, value: values[index] });
    return undefined;
  } catch (error) {
    const failure = failureOf(
      error,
      calls.every(({ kind }) => BESIDE_MAIL.has(kind)),
    );
    for (const { number } of calls) answers.set(number, { number, failure });
    return failure.fatal ? failure : undefined;
  }
}

function transaction<T>(database: DatabaseSync, run: () => T): T {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = run();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    // SQLite has rolled back already after some errors.
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** The compiler cannot see that kind and input of a call belong together. */
type Statement = (input: Call["input"]) => unknown;

function write({ prepared }: Parts, { kind, input }: Call): unknown {
  return (prepared.writing as Readonly<Record<string, Statement>>)[kind]?.(input);
}

function read({ database, prepared }: Parts, call: Call): unknown {
  switch (call.kind) {
    case "maintain":
      return maintain(database, call.input.shrink);
    case "close":
      checkpoint(database); // closing empties the log, too, but deletes the file before its blocks are overwritten
      database.close();
      return null;
    default:
      return (prepared.looking as Readonly<Record<string, Statement>>)[call.kind]?.(call.input);
  }
}

/** What was deleted leaves the log here (secure_delete has overwritten it in the database). */
function maintain(database: DatabaseSync, shrink: boolean): boolean {
  const done = checkpoint(database);
  const free = pragma(database, "freelist_count");
  const many = free > Math.max(MANY_FREE_PAGES, pragma(database, "page_count") / 2);
  if (free === 0 || (!shrink && !many)) return done;
  database.prepare(`PRAGMA incremental_vacuum(${shrink ? free : MANY_FREE_PAGES})`).all();
  return checkpoint(database);
}

function checkpoint(database: DatabaseSync): boolean {
  return database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()?.["busy"] === 0;
}

function pragma(database: DatabaseSync, name: "freelist_count" | "page_count"): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[name] ?? 0);
}

function failureOf(error: unknown, besideMail: boolean): CallFailure {
  const message = `The queue's database failed: ${textOf(error)}`;
  const code = sqliteCode(error);
  if (code === SQLITE.full) return { kind: "no-space", message, fatal: false };
  // A defect of ours or a busy neighbour is rolled back and over; anything else may have left the disk in doubt.
  const over = code === undefined || code === SQLITE.busy || code === SQLITE.locked || code === SQLITE.constraint;
  return { kind: "failed", message, fatal: besideMail ? code === SQLITE.ioError : !over };
}

/** The primary result code; undefined when the error is not SQLite's. */
function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined;
  return error.errcode & 0xff;
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "errcode" in error ? `${error.message} (SQLite ${String(error.errcode)})` : error.message;
}

function close(database: DatabaseSync | undefined): void {
  try {
    if (database?.isOpen === true) database.close();
  } catch {
    // It is given up anyway; opening it anew recovers it.
  }
}

function never(): never {
  throw new TypeError("The engine did not open");
}
