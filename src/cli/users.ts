/**
 * `sealpost users add NAME`: a line in the users file, written whole or not at all, for its owner alone. Works before
 * the configuration is valid, since a users file that is named must be there.
 */
import { chmod, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { diskFiles } from "../config/files.ts";
import { plain } from "../config/located.ts";
import { createProblems } from "../config/problems.ts";
import { readYaml } from "../config/read-yaml.ts";
import { formatUser, parseUsers } from "../config/users.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { askPassword } from "./password-prompt.ts";
import { shownPath } from "./settings.ts";

export interface NewUser {
  readonly name: string;
  readonly senders?: readonly string[];
  readonly file?: string;
  readonly replace?: boolean;
}

export async function usersAdd(deps: CliDeps, common: Common, user: NewUser): Promise<ExitCode> {
  if (!/^[^\s#][^\s\u0000-\u001f]{0,253}$/.test(user.name))
    return refuse(deps, EXIT.usage, ["A name has no blanks and does not begin with #."]);
  const senders = sendersOf(user.senders ?? ["own"]);
  if (senders === undefined)
    return refuse(deps, EXIT.usage, ["--senders is own, any, or addresses as anna@example.org *@example.org."]);
  const file = usersFile(deps, common, user.file);
  if (typeof file !== "string") return refuse(deps, EXIT.usage, file.lines);
  const before = await readIfThere(file);
  if (before === undefined) return refuse(deps, EXIT.configuration, [`${file} cannot be read.`]);
  const known = parseUsers(before).users.some(({ name }) => name === user.name);
  if (known && user.replace !== true) {
    return refuse(deps, EXIT.no, [
      `${user.name} is in ${shownPath(deps, file)} already. Give --replace for a new password.`,
    ]);
  }
  const password = await askPassword(deps);
  if (password === undefined) return refuse(deps, EXIT.usage, ["No password: the two were not the same."]);
  if (password === "") return refuse(deps, EXIT.usage, ["No password: give it on standard input."]);
  const line = formatUser({ name: user.name, password: await deps.hashPassword(password), senders });
  try {
    await replaceFile(deps, file, withLine(before, user.name, line));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    return refuse(deps, EXIT.configuration, [`${file} cannot be written (${code}).`]);
  }
  if (common.json) printJson(deps, { ok: true, name: user.name, file });
  else deps.stdout.write(`${user.name} is in ${shownPath(deps, file)}. Make it count: sealpost reload\n`);
  return EXIT.good;
}

/** As the file has them, or undefined for what it could not say. */
function sendersOf(words: readonly string[]): "own" | "any" | readonly string[] | undefined {
  const list = words.flatMap((word) => word.split(",")).filter((word) => word !== "");
  const [only] = list;
  if (list.length === 1 && (only === "own" || only === "any")) return only;
  return list.length > 0 && list.every((word) => /^[^@\s]+@[^@\s]+$/.test(word))
    ? list.map((word) => word.toLowerCase())
    : undefined;
}

/** The one that the configuration names, however wrong the rest of it may be. */
function usersFile(deps: CliDeps, { config }: Common, given: string | undefined): string | { lines: string[] } {
  if (given !== undefined) return resolve(deps.cwd, given);
  const path = resolve(deps.cwd, config);
  const read = diskFiles.read(path);
  const tree = read.ok ? readYaml({ file: path, text: read.text }, deps.env, createProblems()) : undefined;
  const named = tree === undefined ? [] : namedFiles(plain(tree)).map((file) => resolve(dirname(path), file));
  const [file, ...more] = [...new Set(named)];
  if (file === undefined)
    return { lines: [`No listener of ${config} has auth: {users_file: PATH}. Write it, or give --file PATH.`] };
  return more.length === 0
    ? file
    : { lines: [`The listeners have several users files. Give one of them: --file ${named.join(" | ")}`] };
}

function namedFiles(config: unknown): string[] {
  const listeners: unknown = (config as { listeners?: unknown } | null)?.listeners;
  return (Array.isArray(listeners) ? listeners : [listeners]).flatMap((listener: unknown) => {
    const file = (listener as { auth?: { users_file?: unknown } | null } | null | undefined)?.auth?.users_file;
    return typeof file === "string" ? [file] : [];
  });
}

/** Empty when there is none; undefined when it cannot be read. */
async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? "" : undefined;
  }
}

/** In the place of the user's old line, else at the end; every other line stays as it is. */
function withLine(text: string, name: string, line: string): string {
  const lines = text === "" ? [] : text.replace(/\n$/, "").split("\n");
  const at = lines.findIndex((old) => old.trim().split(/[ \t]+/)[0] === name);
  if (at === -1) lines.push(line);
  else lines[at] = line;
  return `${lines.join("\n")}\n`;
}

async function replaceFile(deps: CliDeps, file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const old = await stat(file).catch(() => undefined);
  const draft = `${file}.${deps.random.bytes(6).toString("hex")}`;
  try {
    const handle = await open(draft, "wx", 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (old !== undefined && (old.mode & 0o777) === 0o640) await chmod(draft, 0o640); // allow_group_read
    await rename(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
}
