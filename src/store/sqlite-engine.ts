/**
 * The database thread's work: opens the database and runs what has arrived, all writes of a batch in one transaction.
 * A failed batch fails every write in it. After an I/O error nothing is tried again: the thread ends, and opening anew recovers.
 */
import { DatabaseSync } from "node:sqlite";
import { migrate, SCHEMA_VERSION, schemaOf } from "./migrations/migrate.ts";
import type { Answer, Call, CallFailure, CallKind, EngineOpened, EngineStart } from "./sqlite-protocol.ts";
import { type Policies, preparePolicies } from "./sqlite-policies.ts";
import { type History, prepareHistory } from "./sqlite-history.ts";
import { prepareReads, type Reads } from "./sqlite-reads.ts";
import { prepareWaiting, type Waiting } from "./sqlite-waiting.ts";
import { prepareWrites, type Writes } from "./sqlite-writes.ts";

export interface Engine {
  readonly opened: EngineOpened;
  /** Answers in the order of the calls. `fatal`: the engine has closed itself. */
  readonly run: (calls: readonly Call[]) => { readonly answers: readonly Answer[]; readonly fatal: boolean };
}

const SQLITE = { busy: 5, locked: 6, full: 13, constraint: 19 } as const;
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
  const found = String(database.prepare("SELECT key_id FROM store").get()?.["key_id"]);
  if (found === start.keyId) return undefined;
  return { kind: "refused", problem: "key-wrong", message: `The queue is sealed with key ${found}`, foundKeyId: found };
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
  migrate(database, start.keyId);
  const writes = prepareWrites(database);
  const waiting = prepareWaiting(database);
  const reads = prepareReads(database);
  const policies = preparePolicies(database);
  const history = prepareHistory(database);
  transaction(database, () => writes.settle(start));
  const filed = reads.filed();
  return {
    opened: { kind: "open", filed },
    run: (calls) => runBatch({ database, writes, waiting, reads, policies, history }, calls),
  };
}

interface Parts {
  readonly database: DatabaseSync;
  readonly writes: Writes;
  readonly waiting: Waiting;
  readonly reads: Reads;
  readonly policies: Policies;
  readonly history: History;
}

const WRITES: ReadonlySet<CallKind> = new Set([
  "enqueue",
  "complete",
  "park",
  "claim",
  "claimExpired",
  "claimNotices",
  "seize",
  "postpone",
  "hasten",
  "shiftClock",
  "retry",
  "hold",
  "release",
  "remove",
  "putPolicy",
  "usedPolicy",
  "duePolicies",
  "storeKey",
  "addHistory",
  "replaceHistory",
  "forgetHistory",
]);

function runBatch(parts: Parts, calls: readonly Call[]): { answers: Answer[]; fatal: boolean } {
  const answers = new Map<number, Answer>();
  const writing = calls.filter(({ kind }) => WRITES.has(kind));
  let broken = attempt(answers, writing, () =>
    transaction(parts.database, () => writing.map((call) => write(parts, call))),
  );
  for (const call of calls) {
    if (WRITES.has(call.kind)) continue;
    if (broken === undefined) broken = attempt(answers, [call], () => [read(parts, call)]);
    else answers.set(call.number, { number: call.number, failure: broken });
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
    const failure = failureOf(error);
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

function write({ writes, waiting, policies, history }: Parts, call: Call): unknown {
  switch (call.kind) {
    case "enqueue":
      return writes.enqueue(call.input);
    case "complete":
      return writes.complete(call.input);
    case "park":
      return writes.park(call.input);
    case "claim":
      return writes.claim(call.input);
    case "claimExpired":
      return waiting.claimExpired(call.input);
    case "claimNotices":
      return waiting.claimNotices(call.input);
    case "seize":
      return waiting.seize(call.input);
    case "postpone":
      return waiting.postpone(call.input);
    case "hasten":
      return waiting.hasten(call.input);
    case "shiftClock":
      return waiting.shiftClock(call.input);
    case "retry":
      return waiting.retry(call.input);
    case "hold":
      return waiting.hold(call.input);
    case "release":
      return waiting.release(call.input);
    case "remove":
      return writes.remove(call.input);
    case "putPolicy":
      return policies.put(call.input);
    case "usedPolicy":
      return policies.used(call.input);
    case "duePolicies":
      return policies.claimDue(call.input);
    case "storeKey":
      return history.storeKey(call.input);
    case "addHistory":
      return history.add(call.input);
    case "replaceHistory":
      return history.replace(call.input);
    case "forgetHistory":
      return history.forget(call.input);
    default:
      throw new TypeError(`${call.kind} does not write`);
  }
}

function read({ database, reads, policies, history }: Parts, call: Call): unknown {
  switch (call.kind) {
    case "dueDomains":
      return reads.dueDomains(call.input);
    case "nextDue":
      return reads.nextDue(call.input);
    case "header":
      return reads.header(call.input);
    case "body":
      return reads.body(call.input);
    case "list":
      return reads.list(call.input);
    case "policy":
      return policies.get(call.input);
    case "findHistory":
      return history.find(call.input);
    case "reportFigures":
      return history.figures(call.input);
    case "stats":
      return reads.stats();
    case "totals":
      return reads.totals(call.input);
    case "maintain":
      return maintain(database, call.input.shrink);
    case "close":
      checkpoint(database); // closing empties the log, too, but deletes the file before its blocks are overwritten
      database.close();
      return null;
    default:
      throw new TypeError(`${call.kind} does not read`);
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

function failureOf(error: unknown): CallFailure {
  const message = `The queue's database failed: ${textOf(error)}`;
  const code = sqliteCode(error);
  if (code === SQLITE.full) return { kind: "no-space", message, fatal: false };
  // A defect of ours or a busy neighbour is rolled back and over; anything else may have left the disk in doubt.
  const over = code === undefined || code === SQLITE.busy || code === SQLITE.locked || code === SQLITE.constraint;
  return { kind: "failed", message, fatal: !over };
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
