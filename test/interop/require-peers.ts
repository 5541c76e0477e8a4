/**
 * Runs once before the interop tests: are the real peers there, and may we start them?
 * It fails with the command that mends it; it never skips, since a skipped proof looks like a given one.
 */
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { getuid } from "node:process";

const MAIL = ["postfix", "postconf", "sendmail", "swaks", "haproxy", "openssl", "mount", "umount"];
const NAMES = ["unbound", "unbound-control", "named", "dnssec-keygen", "dnssec-signzone", "dig"];
const PEERS = [...MAIL, ...NAMES, "ip", "unshare", "nsenter", "setpriv"];
const FOLDERS = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];

export default function requirePeers(): void {
  const missing = PEERS.filter((peer) => !FOLDERS.some((folder) => executable(join(folder, peer))));
  if (missing.length > 0)
    throw new Error(`The interop tests need ${missing.join(", ")}. Install them as root: test/interop/install.sh`);
  if (getuid?.() !== 0)
    throw new Error("The interop tests start private Postfix instances and mount a tmpfs: run them as root.");
  process.env["PATH"] = FOLDERS.join(":");
}

function executable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
