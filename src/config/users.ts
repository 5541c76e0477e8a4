/**
 * The users file: one user per line, `NAME PASSWORD SENDERS`, apart by blanks. PASSWORD is `scrypt:N:r:p:SALT:HASH`;
 * SENDERS is `own`, `any`, or patterns separated by commas, and `own` where it is missing. `#` begins a comment line.
 * A line that is wrong is never shown, since it may hold a password.
 */
import type { SenderRule, User } from "../accept/settings.ts";
import type { Flaw } from "./problems.ts";

export interface UserFlaw extends Flaw {
  /** From 1. */
  readonly line: number;
}

const PASSWORD = /^scrypt:\d{1,8}:\d{1,3}:\d{1,3}:[A-Za-z0-9+/]{8,128}={0,2}:[A-Za-z0-9+/]{20,256}={0,2}$/;

export function parseUsers(text: string): { readonly users: readonly User[]; readonly flaws: readonly UserFlaw[] } {
  const users: User[] = [];
  const flaws: UserFlaw[] = [];
  const names = new Set<string>();
  for (const [index, whole] of text.split("\n").entries()) {
    const line = whole.trim();
    if (line === "" || line.startsWith("#")) continue;
    const user = parseUser(line);
    if ("message" in user) flaws.push({ ...user, line: index + 1 });
    else if (names.has(user.name)) {
      flaws.push({ line: index + 1, message: "this user is written twice", remedy: "remove one of the lines" });
    } else users.push(user);
    if ("name" in user) names.add(user.name);
  }
  return { users, flaws };
}

/** One line for the file. */
export function formatUser(user: User): string {
  const senders = typeof user.senders === "string" ? user.senders : user.senders.join(",");
  return `${user.name} ${user.password} ${senders}`;
}

function parseUser(line: string): User | Flaw {
  const [name = "", password = "", senders = "own", ...rest] = line.split(/[ \t]+/);
  if (!PASSWORD.test(password) || rest.length > 0) {
    return { message: "not a line of a users file", remedy: "add users with: sealpost users add NAME" };
  }
  const rule = parseSenders(senders);
  if (rule !== undefined) return { name, password, senders: rule };
  return { message: "the senders are not addresses", remedy: "write own, any, or user@example.org,*@example.org" };
}

function parseSenders(text: string): SenderRule | undefined {
  if (text === "own" || text === "any") return text;
  const patterns = text.toLowerCase().split(",");
  return patterns.every((pattern) => /^[^@]+@[^@]+$/.test(pattern)) ? patterns : undefined;
}
