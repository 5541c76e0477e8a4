/** The name under which DNS keeps the names of an address (RFC 1035 §3.5, RFC 3596 §2.5). Pure. */
import { isIPv4 } from "node:net";
import type { DomainName } from "../mail/domain-name.ts";

/** `address`: an IPv4 or IPv6 address without zone. */
export function reverseName(address: string): DomainName {
  if (isIPv4(address)) return `${address.split(".").toReversed().join(".")}.in-addr.arpa` as DomainName;
  const nibbles = groupsOf(address).flatMap((group) => group.padStart(4, "0").split(""));
  return `${nibbles.toReversed().join(".")}.ip6.arpa` as DomainName;
}

/** All eight groups of an IPv6 address, an IPv4 part at its end included. */
function groupsOf(address: string): string[] {
  const [head = "", tail] = address.toLowerCase().split("::");
  const before = partsOf(head);
  if (tail === undefined) return before;
  const after = partsOf(tail);
  return [...before, ...Array<string>(Math.max(8 - before.length - after.length, 0)).fill("0"), ...after];
}

function partsOf(text: string): string[] {
  return text.split(":").flatMap((part) => {
    if (part === "") return [];
    if (!isIPv4(part)) return [part];
    const [a = 0, b = 0, c = 0, d = 0] = part.split(".").map(Number);
    return [(a * 256 + b).toString(16), (c * 256 + d).toString(16)];
  });
}
