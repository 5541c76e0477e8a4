/**
 * Reads many S/MIME messages at once: OpenSSL in one loop of the shell, and Python's mail parser, which says whether two
 * messages show and save the same. Neither knows our code.
 */
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { must } from "./processes.ts";
import type { Workbench } from "./workbench.ts";

export interface Verified {
  readonly ok: boolean;
  readonly told: string;
  /** What was signed: an entity with its header. */
  readonly content: Buffer;
}

/** `root`: PEM. In the order of the messages. */
export async function verifyAll(bench: Workbench, root: string, messages: readonly Buffer[]): Promise<Verified[]> {
  const folder = await bench.folder("verify");
  await writeFile(join(folder, "root.crt"), root);
  await Promise.all(messages.map((message, index) => writeFile(join(folder, `${index}.eml`), message)));
  await must("sh", ["-c", LOOP, "sh", String(messages.length)], { cwd: folder });
  const read = async (name: string): Promise<Buffer> => readFile(join(folder, name)).catch(() => Buffer.alloc(0));
  const verified: Verified[] = [];
  for (const index of messages.keys()) {
    const told = (await read(`${index}.told`)).toString().trim();
    verified.push({ ok: told.endsWith("exit 0"), told, content: await read(`${index}.out`) });
  }
  await rm(folder, { recursive: true });
  return verified;
}

const LOOP = `
i=0
while [ $i -lt "$1" ]; do
  openssl cms -verify -in $i.eml -CAfile root.crt -out $i.out 2>$i.told
  echo "exit $?" >>$i.told
  i=$((i+1))
done
`;

/** Content and signature of a multipart/signed (RFC 8551 §3.5.3), cut by its boundary. */
export function signedParts(message: Buffer): { readonly content: Buffer; readonly cms: Buffer } {
  const text = message.toString("latin1");
  const header = text.slice(0, text.indexOf("\r\n\r\n") + 2).replaceAll(/\r\n[ \t]+/g, " ");
  const boundary = /^content-type: multipart\/signed;.*\bboundary="?([^";\r\n]+)/im.exec(header)?.[1];
  if (boundary === undefined) throw new Error(`Not multipart/signed:\n${header}`);
  const [, content = "", signature = ""] = text.split(`\r\n--${boundary}`);
  const base64 = signature.slice(signature.indexOf("\r\n\r\n"));
  return { content: Buffer.from(content.slice(2), "latin1"), cms: Buffer.from(base64, "base64") };
}

/** The CMS object that is a whole message's body. */
export function envelopeOf(message: Buffer): Buffer {
  return Buffer.from(message.toString("latin1").split("\r\n\r\n").slice(1).join("\r\n"), "base64");
}

/** For each pair "same", or what differs. */
export async function compare(pairs: readonly (readonly [Buffer, Buffer])[]): Promise<string[]> {
  const lines = pairs.map((pair) => `${pair.map((one) => one.toString("base64")).join(" ")}\n`);
  const told = await must("/usr/bin/python3", ["-c", SCRIPT], { input: Buffer.from(lines.join("")) });
  return told.trim().split("\n");
}

const SCRIPT = `
import base64, email, sys
def leaves(octets):
    found = []
    for part in email.message_from_bytes(octets).walk():
        if not part.is_multipart():
            found.append((part.get_content_type(), part.get_filename(), part.get_payload(decode=True)))
    return found
for line in sys.stdin:
    one, other = [leaves(base64.b64decode(word)) for word in line.split(" ")]
    if one == other:
        print("same")
    elif len(one) != len(other):
        print(len(one), "parts, then", len(other))
    else:
        at = [a == b for a, b in zip(one, other)].index(False)
        print("part", at, repr(one[at])[-300:], "then", repr(other[at])[-300:])
`;
