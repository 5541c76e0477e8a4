/** The account that runs a command, as the log says it. */
import { userInfo } from "node:os";
import { cleanAccount } from "../admin/who.ts";

/** Undefined where the system does not know it. */
export function accountName(): string | undefined {
  try {
    return cleanAccount(userInfo().username);
  } catch {
    return undefined; // an id without an entry, as in many containers
  }
}
