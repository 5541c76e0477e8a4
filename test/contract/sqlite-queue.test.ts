/** The embedded engine keeps the contract of the queue. */
import { contentsContract } from "./contents-contract.ts";
import { queueContract } from "./queue-contract.ts";
import { sqliteStore } from "./sqlite-store.ts";

queueContract({ name: "SQLite", create: sqliteStore });
contentsContract({ name: "SQLite", create: sqliteStore });
