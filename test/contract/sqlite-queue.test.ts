/** The embedded engine keeps the contract of the queue. */
import { queueContract } from "./queue-contract.ts";
import { sqliteStore } from "./sqlite-store.ts";

queueContract({ name: "SQLite", create: sqliteStore });
