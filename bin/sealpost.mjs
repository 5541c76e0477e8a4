#!/usr/bin/env node
/*
 * Starts sealpost under a Node that can run it. This file alone must parse and run on Node 12.17 and later, hence
 * its old-fashioned language: an older Node hands over to the one that `npm ci` put beside the package, or says in
 * one sentence what is missing. It reads no configuration and knows no command.
 */
import { spawn } from "child_process";
import { existsSync } from "fs";
import { dirname, join } from "path";
import { fileURLToPath, pathToFileURL } from "url";

const NEEDED = 24;
const CONFIGURATION_ERROR = 78; // sysexits.h EX_CONFIG
const SOFTWARE_ERROR = 70; // EX_SOFTWARE

// MiB. Chunks of mail live outside of V8's heap and go only when it is collected: a small young generation is collected
// often, and that keeps a gateway that relays large mail some 100 MiB smaller at the same speed.
const YOUNG_GENERATION = "--max-semi-space-size=4";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

if (Number(process.versions.node.split(".")[0]) < NEEDED) handOver();
else if (isBareStart()) replaceByItself();
else run();

/** `start` by a Node that was not told of the young generation, and that nobody watches over a channel. */
function isBareStart() {
  const told = [...process.execArgv, process.env.NODE_OPTIONS || ""].some((word) => word.includes("semi-space"));
  return process.argv[2] === "start" && !told && !process.send && typeof process.execve === "function";
}

/** The same process, with the option: no second one, no signals to hand on. */
function replaceByItself() {
  const args = [process.execPath, ...process.execArgv, YOUNG_GENERATION, ...process.argv.slice(1)];
  process.execve(process.execPath, args, process.env);
}

function run() {
  // Handed over from an older Node: when that one is killed, nothing of us may stay.
  if (process.send) {
    process.on("disconnect", () => process.exit(SOFTWARE_ERROR));
    process.channel.unref(); // a command that is done may end
  }
  // Sources first: a checkout may hold an old `dist` from packing, the published package holds no sources.
  const main = [join(root, "src", "main.ts"), join(root, "dist", "main.js")].find((file) => existsSync(file));
  if (main === undefined) {
    refuse("sealpost is not installed whole: neither src/main.ts nor dist/main.js is there.", SOFTWARE_ERROR);
    return;
  }
  import(pathToFileURL(main).href).catch((error) => refuse(String((error && error.stack) || error), SOFTWARE_ERROR));
}

function handOver() {
  const name = `node-${process.platform}-${process.arch}`;
  const node = nearest(root, join("node_modules", name, "bin", "node"));
  const sentence = `sealpost needs Node.js ${NEEDED} or later, and this is ${process.versions.node}`;
  if (node === undefined) {
    refuse(
      `${sentence}: run "npm ci" without omitting optional packages, or install Node.js ${NEEDED}.`,
      CONFIGURATION_ERROR,
    );
    return;
  }
  // The channel carries nothing: it closes when this process dies.
  const child = spawn(node, [YOUNG_GENERATION, ...process.argv.slice(1)], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  child.on("error", () => refuse(`${sentence}; ${node} cannot be run here.`, CONFIGURATION_ERROR));
  // A terminal sends its interrupt to both; a second one would mean "at once".
  const signals = process.stdin.isTTY ? ["SIGTERM", "SIGHUP"] : ["SIGTERM", "SIGHUP", "SIGINT"];
  if (process.stdin.isTTY) process.on("SIGINT", () => undefined);
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

/** The file at this path below the folder or the nearest folder above it. */
function nearest(folder, path) {
  if (existsSync(join(folder, path))) return join(folder, path);
  return dirname(folder) === folder ? undefined : nearest(dirname(folder), path);
}

function refuse(sentence, code) {
  process.stderr.write(`${sentence}\n`);
  process.exitCode = code;
}
