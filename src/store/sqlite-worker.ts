/**
 * The database thread: takes every call that has arrived, runs them as one batch, answers. Holds no keys.
 * It ends by itself after an I/O error and when told to close.
 */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { openEngine } from "./sqlite-engine.ts";
import type { Call, EngineStart } from "./sqlite-protocol.ts";

/** Calls in one transaction at most: bounds the memory and the time that one commit takes. */
const LARGEST_BATCH = 256;

const port = parentPort;
if (port === null) throw new TypeError("This file runs as a worker thread");

const engine = openEngine(workerData as EngineStart);
port.postMessage(engine.opened);
if (engine.opened.kind === "refused") port.close();

port.on("message", (first: Call) => {
  const calls = [first];
  while (calls.length < LARGEST_BATCH) {
    const next: { message: Call } | undefined = receiveMessageOnPort(port);
    if (next === undefined) break;
    calls.push(next.message);
  }
  const { answers, fatal } = engine.run(calls);
  port.postMessage(answers);
  if (fatal || calls.some(({ kind }) => kind === "close")) port.close();
});
