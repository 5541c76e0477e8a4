/** The name servers of the machine, as resolv.conf(5) has them. */
import { isIP } from "node:net";
import type { ResolverAddress } from "../connect/settings.ts";
import type { Files } from "./files.ts";

/** Those of /etc/resolv.conf in order; the local one where the file names none, as the C library does. */
export function resolvers(files: Files): readonly ResolverAddress[] {
  const file = files.read("/etc/resolv.conf");
  const addresses = (file.ok ? file.text : "")
    .split("\n")
    .flatMap((line) => /^nameserver[ \t]+(\S+)/.exec(line)?.[1] ?? [])
    .filter((address) => isIP(address) !== 0);
  const found = addresses.length > 0 ? addresses : ["127.0.0.1"];
  return found.map((address) => ({ transport: "udp", address, port: 53 }));
}
