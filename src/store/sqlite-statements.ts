/** Each call of the queue and the statement that answers it: those that change something, and those that only look. */
import type { DatabaseSync } from "node:sqlite";
import { prepareHistory } from "./sqlite-history.ts";
import { prepareKeys } from "./sqlite-keys.ts";
import { preparePolicies } from "./sqlite-policies.ts";
import type { CallKind, Calls, EngineStart } from "./sqlite-protocol.ts";
import { prepareReads } from "./sqlite-reads.ts";
import { prepareWaiting } from "./sqlite-waiting.ts";
import { prepareWrites } from "./sqlite-writes.ts";

type Statements<K extends CallKind> = { readonly [Each in K]: (input: Calls[Each]["in"]) => Calls[Each]["out"] };

type Looking =
  | "dueDomains"
  | "nextDue"
  | "header"
  | "body"
  | "list"
  | "stats"
  | "totals"
  | "policy"
  | "findHistory"
  | "reportFigures"
  | "formerKeys"
  | "formerCounts"
  | "storeKeys";
/** About the database itself; the engine's own. */
type Engine = "maintain" | "close";
type Writing = Exclude<CallKind, Looking | Engine>;

export interface Prepared {
  /** Inside of a transaction. */
  readonly writing: Statements<Writing>;
  readonly looking: Statements<Looking>;
  /** After opening. */
  readonly settle: (start: EngineStart) => void;
  /** Names of the body files. */
  readonly filed: () => readonly string[];
}

/** `made`: the database was made by this opening. */
export function prepareStatements(database: DatabaseSync, made: boolean): Prepared {
  const { settle, ...writes } = prepareWrites(database);
  const { filed, ...reads } = prepareReads(database);
  const { rewrap, putStoreKeys, ...keys } = prepareKeys(database, made);
  const policies = preparePolicies(database);
  const history = prepareHistory(database);
  return {
    writing: {
      ...writes,
      ...prepareWaiting(database),
      rewrap,
      putStoreKeys,
      putPolicy: policies.put,
      usedPolicy: policies.used,
      duePolicies: policies.claimDue,
      addHistory: history.add,
      replaceHistory: history.replace,
      forgetHistory: history.forget,
    },
    looking: { ...reads, ...keys, policy: policies.get, findHistory: history.find, reportFigures: history.figures },
    settle,
    filed,
  };
}
