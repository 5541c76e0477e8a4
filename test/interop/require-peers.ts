/**
 * Runs once before the interop tests: are the real peers there, and may we start them?
 * It fails with the command that mends it; it never skips, since a skipped proof looks like a given one.
 */
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import { getuid } from "node:process";
import { EXIM } from "./rig/exim.ts";

const MAIL = ["postfix", "postconf", "sendmail", "swaks", "haproxy", "openssl", "mount", "umount"];
const NAMES = ["unbound", "unbound-control", "named", "dnssec-keygen", "dnssec-signzone", "dig"];
const SIGNATURES = ["opendkim", "opendkim-testmsg", "dkimverify", "cmsutil", "certutil", "pk12util", "java", "javac"];
const DIRECTORY = ["slapd", "ldapadd", "ldapsearch"];
const SPACES = ["ip", "unshare", "nsenter", "setpriv"];
const PEERS = [...MAIL, ...NAMES, ...SIGNATURES, ...DIRECTORY, ...SPACES];
/** Not on the PATH: an unpacked program, and the jar that BouncyCastle's S/MIME is in. */
const FILES = [
  [EXIM, constants.X_OK],
  ["/usr/share/java/bcmail.jar", constants.R_OK],
] as const;
const FOLDERS = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];

export default function requirePeers(): void {
  const programs = PEERS.filter((peer) => !FOLDERS.some((folder) => permitted(join(folder, peer), constants.X_OK)));
  const files = FILES.filter(([file, mode]) => !permitted(file, mode)).map(([file]) => file);
  const missing = [...programs, ...files];
  if (missing.length > 0)
    throw new Error(`The interop tests need ${missing.join(", ")}. Install them as root: test/interop/install.sh`);
  if (getuid?.() !== 0)
    throw new Error("The interop tests start private Postfix instances and mount a tmpfs: run them as root.");
  process.env["PATH"] = FOLDERS.join(":");
}

function permitted(file: string, mode: number): boolean {
  try {
    accessSync(file, mode);
    return true;
  } catch {
    return false;
  }
}
