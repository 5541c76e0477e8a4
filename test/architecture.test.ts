/**
 * The house's plan as a test: which room may know which, who may touch what, how long a file may be. Where the code
 * shows that a better cut exists, change the table here and say why in ARCHITECTURE.md.
 */
import { globSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

/** What the values of a room may come from, its own files apart. `runtime` and `mail` know nobody. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  mail: [],
  runtime: [],
  accept: ["mail", "runtime"],
  decide: ["mail"],
  transform: ["mail"],
  store: ["mail", "runtime"],
  schedule: ["mail", "runtime", "store"],
  connect: ["mail", "runtime"],
  verify: ["mail"],
  deliver: ["mail", "verify"],
  notify: ["mail"],
  report: ["mail", "runtime"],
  admin: ["mail", "decide", "store", "report", "runtime"],
  config: ["mail", "decide", "runtime", "transform"],
  cli: ["admin", "config", "decide", "mail", "report", "runtime", "store", "transform"],
};

/** The two spines and the attempt between them; any other file beside the rooms wires them and may know all. */
const SPINE: Readonly<Record<string, readonly string[]>> = {
  "receive.ts": ["decide", "transform", "store", "report", "mail"],
  "attempt.ts": ["decide", "connect", "verify", "deliver", "mail"],
  "relay.ts": ["decide", "schedule", "connect", "verify", "deliver", "notify", "transform", "store", "report", "mail"],
};

/** Rooms with effects; they may know the events by type, and tell them through a function they are given. */
const EFFECTFUL = ["accept", "admin", "connect", "schedule", "store"];

/** Types that cross a border beyond the table; the spine is handed what it works with, so it may name any type. */
function isTypeAllowed(from: string, to: string): boolean {
  const room = roomOf(from);
  if (room === "") return true;
  if (to === "report/events.ts") return EFFECTFUL.includes(room);
  if (room === "config") return /^[a-z]+\/settings\.ts$/.test(to) || to === "schedule/retry-schedule.ts";
  // A log line says what was demanded, and of whom.
  if (room === "report") return to === "decide/policy.ts" || to === "decide/published-requirement.ts";
  return room === "admin" && to === "schedule/dispatcher.ts"; // queue actions wake the dispatcher
}

/** Packages and modules of Node that only these may import: rooms, or single files. */
const OWNERS: Readonly<Record<string, readonly string[]>> = {
  pino: ["report"],
  "smtp-server": ["accept"],
  nodemailer: ["connect"],
  "dns-packet": ["connect"],
  ldapts: ["connect"],
  mailauth: ["transform"],
  "node-forge": ["cli"], // certificates of the demo; nothing of S/MIME is left to it
  zod: ["config"],
  yaml: ["config"],
  commander: ["cli", "main.ts"],
  fastify: ["admin"],
  "node:sqlite": ["store"],
  "node:worker_threads": ["store", "runtime"],
  "node:child_process": ["runtime", "cli"],
  "node:dgram": ["connect"],
  // Revocation is asked about where certificates say so, which is in the clear.
  "node:http": ["admin", "cli", "connect/outside-http.ts"],
  "node:https": ["connect"],
  // config reads files, store keeps the queue, runtime and cli are the edges of the process; the admin's own are
  // its token and gateway.json, report's is the log file.
  "node:fs": ["config", "store", "runtime", "cli", "admin", "report/log.ts"],
  "node:fs/promises": ["config", "store", "runtime", "cli", "admin", "report/log.ts"],
};

/** Words that stand in these files only. */
const WORDS: readonly (readonly [string, RegExp, readonly string[]])[] = [
  ["process.env", /\bprocess\.env\b/, ["config", "cli", "runtime", "main.ts"]],
  // Outbound, the one place where a chain error is recorded instead of enforced, and verify/ judges it. Inbound, the
  // one place where clients are asked for a certificate that a listener may do without.
  ["rejectUnauthorized", /\brejectUnauthorized\s*:/, ["connect/smtp-session.ts", "accept/handshake.ts"]],
  ["NODE_TLS_REJECT_UNAUTHORIZED", /NODE_TLS_REJECT_UNAUTHORIZED/, []],
];

const FORBIDDEN_NAMES = /(^|\/)(utils?|libs?|commons?|helpers?|misc|shared|index)(\/|\.ts$)/;

interface Import {
  readonly from: string;
  readonly specifier: string;
  readonly typeOnly: boolean;
}

const files = globSync("src/**/*.ts").map((path) => ({
  name: path.replaceAll("\\", "/").replace(/^src\//, ""),
  text: readFileSync(path, "utf8"),
}));

const STATEMENT = /^(?:import|export)\s+(type\s+)?([^"';]*?)\s*\bfrom\s+"([^"]+)"/gm;
const BARE = /(?:^import\s+|\bimport\(\s*|\bnew URL\(\s*)"([^"]+)"/gm;

function importsOf({ name, text }: (typeof files)[number]): Import[] {
  const statements = [...text.matchAll(STATEMENT)].map(([, type, names = "", specifier = ""]) => {
    const listed = /^\{([^}]*)\}$/
      .exec(names.trim())?.[1]
      ?.split(",")
      .map((one) => one.trim());
    const each = listed?.filter((one) => one !== "").every((one) => one.startsWith("type ")) ?? false;
    return { from: name, specifier, typeOnly: type !== undefined || each };
  });
  const bare = [...text.matchAll(BARE)].map(([, specifier = ""]) => ({ from: name, specifier, typeOnly: false }));
  return [...statements, ...bare];
}

function roomOf(file: string): string {
  return file.includes("/") ? (file.split("/")[0] ?? "") : "";
}

/** `./x.ts` or `../room/x.ts` as it stands below src; undefined for a package. */
function target({ from, specifier }: Import): string | undefined {
  return specifier.startsWith(".") ? new URL(specifier, `file:///${from}`).pathname.slice(1) : undefined;
}

function isAllowed(one: Import): boolean {
  const to = target(one);
  if (to === undefined || roomOf(to) === roomOf(one.from)) return true;
  const room = roomOf(one.from);
  if (room === "" && !(one.from in SPINE)) return true;
  const known = room === "" ? SPINE[one.from] : MAY_IMPORT[room];
  return known?.includes(roomOf(to)) === true || (one.typeOnly && isTypeAllowed(one.from, to));
}

function isOwner(file: string, owners: readonly string[]): boolean {
  return owners.includes(roomOf(file)) || owners.includes(file) || (roomOf(file) === "" && !(file in SPINE));
}

const imports = files.flatMap(importsOf);
const show = ({ from, specifier, typeOnly }: Import) => `${from} imports ${typeOnly ? "types of " : ""}${specifier}`;

it("sees the files and their imports", () => {
  expect(files.length).toBeGreaterThan(20);
  expect(imports.length).toBeGreaterThan(files.length);
  expect(imports.some((one) => one.typeOnly)).toBe(true);
  const [first] = files.filter(({ name }) => name === "mail/mailbox.ts").flatMap(importsOf);
  expect(first).toEqual({ from: "mail/mailbox.ts", specifier: "node:net", typeOnly: false });
});

it("has only rooms of the plan", () => {
  const rooms = new Set(files.map(({ name }) => roomOf(name)).filter((room) => room !== ""));
  expect([...rooms].filter((room) => !(room in MAY_IMPORT))).toEqual([]);
});

it("lets no room import what it may not", () => {
  expect(imports.filter((one) => !isAllowed(one)).map(show)).toEqual([]);
});

it("would see a breach", () => {
  const breach = { from: "verify/gate.ts", specifier: "../store/queue.ts", typeOnly: false };
  expect(isAllowed(breach)).toBe(false);
  expect(isAllowed({ ...breach, typeOnly: true })).toBe(false);
  expect(isAllowed({ from: "store/queue.ts", specifier: "../report/events.ts", typeOnly: true })).toBe(true);
  expect(isAllowed({ from: "store/queue.ts", specifier: "../report/events.ts", typeOnly: false })).toBe(false);
});

it.each(Object.entries(OWNERS))("leaves %s to those who own it", (specifier, owners) => {
  const users = imports.filter((one) => one.specifier === specifier || one.specifier.startsWith(`${specifier}/`));
  expect(users.filter((one) => !one.typeOnly && !isOwner(one.from, owners)).map(show)).toEqual([]);
});

it.each(WORDS)("writes %s only where it must", (_, word, owners) => {
  const where = files.filter(({ text }) => word.test(text)).map(({ name }) => name);
  expect(where.filter((name) => !owners.includes(name) && !owners.includes(roomOf(name)))).toEqual([]);
});

it("keeps every file within 300 lines, and the gate within 400 in all", () => {
  const lines = files.map(({ name, text }) => ({ name, count: text.split("\n").length - 1 }));
  expect(lines.filter(({ count }) => count > 300)).toEqual([]);
  const gate = lines.filter(({ name }) => roomOf(name) === "verify");
  expect(gate.reduce((sum, { count }) => sum + count, 0)).toBeLessThan(400);
});

it("names no file for what it is not: no utils, lib, common, helpers, no index", () => {
  expect(files.map(({ name }) => name).filter((name) => FORBIDDEN_NAMES.test(name))).toEqual([]);
});
