/** What Python's email package, a stranger to the code under test, finds in a message. */
import { must } from "./processes.ts";

export interface ReadMail {
  /** Decoded, names as written; a field that is there twice would be a list. */
  readonly header: Readonly<Record<string, string>>;
  /** Content types from the outside to the inside. */
  readonly types: readonly string[];
  readonly plain: string;
  readonly html: string;
  /** Groups of a message/delivery-status; empty where there is none. */
  readonly status: readonly Readonly<Record<string, string>>[];
  /** Fields of a text/rfc822-headers; absent where there is no such part. */
  readonly original?: Readonly<Record<string, string>>;
  /** Everything that the parser found wrong. */
  readonly defects: readonly string[];
}

const SCRIPT = `
import json, sys
from email import message_from_bytes, message_from_string, policy

def fields(message):
    found = {}
    for name, value in message.items():
        value = str(value)
        found[name] = value if name not in found else [found[name], value]
    return found

def read(octets):
    message = message_from_bytes(octets, policy=policy.default)
    out = {"header": fields(message), "types": [], "plain": "", "html": "", "status": [], "defects": []}
    for part in message.walk():
        type = part.get_content_type()
        out["defects"] += [repr(one) for one in part.defects]
        for value in part.values():
            out["defects"] += [repr(one) for one in getattr(value, "defects", ())]
        if not out["status"] or type != "text/plain":
            out["types"].append(type)
        if type == "text/plain" and not out["plain"]:
            out["plain"] = part.get_content()
        elif type == "text/html":
            out["html"] = part.get_content()
        elif type == "message/delivery-status":
            out["status"] = [fields(group) for group in part.get_payload() if group.keys()]
        elif type == "text/rfc822-headers":
            out["original"] = fields(message_from_string(part.get_content(), policy=policy.default))
    return out

octets = sys.stdin.buffer.read()
out = []
while octets:
    size, _, rest = octets.partition(b"\\n")
    out.append(read(rest[:int(size)]))
    octets = rest[int(size):]
json.dump(out, sys.stdout)
`;

export async function readMail(messages: readonly Buffer[]): Promise<readonly ReadMail[]> {
  const input = Buffer.concat(messages.flatMap((message) => [Buffer.from(`${message.length}\n`), message]));
  return JSON.parse(await must("/usr/bin/python3", ["-c", SCRIPT], { input })) as ReadMail[];
}
