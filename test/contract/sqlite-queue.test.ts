/** The embedded engine keeps the contract of the queue. */
import { contentsContract } from "./contents-contract.ts";
import { queueContract } from "./queue-contract.ts";
import { sqliteStore } from "./sqlite-store.ts";
import { stoppingContract } from "./stopping-contract.ts";
import { waitingContract } from "./waiting-contract.ts";

const engine = { name: "SQLite", create: sqliteStore };
queueContract(engine);
contentsContract(engine);
waitingContract(engine);
stoppingContract(engine);
