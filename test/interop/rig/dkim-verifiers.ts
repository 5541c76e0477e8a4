/**
 * What OpenDKIM and dkimpy say of messages: two verifiers that others use, given the records of our test keys from a
 * file instead of DNS.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { DkimKeySettings } from "../../../src/mail/treatment.ts";
import { dkimRecord } from "../../../src/transform/dkim/record.ts";
import { must } from "./processes.ts";
import type { Workbench } from "./workbench.ts";

export interface DkimVerifiers {
  /** `dkim=` of each signature from the top, as `rsa-sha256 pass`, by OpenDKIM's own test mode. */
  readonly openDkim: (message: Buffer) => Promise<string[]>;
  /** The same by dkimpy, for each of the messages, and what it says of the ARC chain; `unreadable`: it gave up. */
  readonly dkimPy: (messages: readonly Buffer[]) => Promise<{ dkim: string[]; arc: string }[]>;
}

/** Debian's own: dkimpy is installed for it. */
const PYTHON = "/usr/bin/python3";

export async function dkimVerifiers(bench: Workbench, keys: readonly DkimKeySettings[]): Promise<DkimVerifiers> {
  const folder = await bench.folder("dkim");
  const records = join(folder, "records");
  const config = join(folder, "opendkim.conf");
  const lines = keys.map(dkimRecord).map(({ name, value }) => `${name} ${value}\n`);
  await writeFile(records, lines.join(""));
  await writeFile(config, `Mode v\nTestPublicKeys ${records}\nBackground no\nSyslog no\n`);
  let count = 0;
  return {
    openDkim: async (message) => {
      const file = join(folder, `${(count += 1)}.eml`);
      await writeFile(file, message);
      const told = await must("opendkim", ["-x", config, "-t", file, "-vv"]);
      return [...told.matchAll(/\bdkim=(\w+)[^;]*? header\.a=([\w-]+)/g)].map(([, result, a]) => `${a} ${result}`);
    },
    dkimPy: async (messages) => {
      const input = Buffer.from(messages.map((message) => `${message.toString("base64")}\n`).join(""));
      const told = await must(PYTHON, ["-c", SCRIPT, records], { input });
      return told
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as { dkim: string[]; arc: string });
    },
  };
}

const SCRIPT = `
import base64, json, sys
import dkim
records = dict(line.split(" ", 1) for line in open(sys.argv[1]).read().splitlines())
def dns(name, timeout=5):
    return records.get(name.decode().rstrip("."), "").encode() or None
def verdict(message, index):
    one = dkim.DKIM(message)
    try:
        result = "pass" if one.verify(idx=index, dnsfunc=dns) else "fail"
    except dkim.DKIMException as error:
        result = type(error).__name__ + " " + str(error)
    return one.signature_fields.get(b"a", b"").decode() + " " + result
def look(message):
    try:
        count = sum(1 for name, _ in dkim.DKIM(message).headers if name.lower() == b"dkim-signature")
    except dkim.MessageFormatError:
        return {"dkim": ["unreadable"], "arc": "unreadable"}
    arc = dkim.arc_verify(message, dnsfunc=dns)[0]
    return {"dkim": [verdict(message, index) for index in range(count)], "arc": (arc or b"none").decode()}
for line in sys.stdin:
    print(json.dumps(look(base64.b64decode(line))))
`;
