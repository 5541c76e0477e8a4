/** Reads single fields from a header block without touching it (RFC 5322 §2.2). Linear in the block's length. */
import { type DomainName, parseDomainName } from "./domain-name.ts";

/** The unfolded values of every field of this name, in order; name without colon, any case. White space may follow it (RFC 5322 §4.5). */
export function fieldValues(header: Buffer, name: string): string[] {
  const wanted = name.toLowerCase();
  const values: string[] = [];
  let open = false;
  for (const line of header.toString("utf8").split("\r\n")) {
    if (line === "") break;
    if (line.startsWith(" ") || line.startsWith("\t")) {
      if (open) values.push(`${values.pop() ?? ""}${line}`);
      continue;
    }
    const value = line.slice(0, wanted.length).toLowerCase() === wanted ? line.slice(wanted.length).trimStart() : "";
    open = value.startsWith(":");
    if (open) values.push(value.slice(1).trimStart());
  }
  return values.map((value) => value.trim());
}

/** The Message-ID with its brackets; undefined when there is none that can be read. */
export function messageIdOf(header: Buffer): string | undefined {
  const value = fieldValues(header, "Message-ID")[0];
  return value === undefined ? undefined : /<[^<>\s]{1,990}>/.exec(value)?.[0];
}

/** Domain of the first From mailbox, for the log. Undefined when it cannot be read; grants nothing. */
export function fromDomain(header: Buffer): DomainName | undefined {
  const value = fieldValues(header, "From")[0];
  const domain = value === undefined ? undefined : /@([^\s<>@,;:"()[\]\\]+)/.exec(value)?.[1];
  return domain === undefined ? undefined : parseDomainName(domain);
}
