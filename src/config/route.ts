/** Where a person sends mail that waits (`queue reroute --to`), in the grammar of next_hop. Pure. */
import type { NextHop } from "../mail/next-hop.ts";
import { parseNextHop } from "./next-hop.ts";
import type { Flaw } from "./problems.ts";

/** `policy`: the way that is configured. One hop, without auth: a password is configured, never typed. `port` is that of MX hosts. */
export function parseRoute(text: string, port: number): NextHop | "policy" | Flaw {
  if (text === "policy") return "policy";
  const hop = parseNextHop(text);
  if ("message" in hop) return { ...hop, remedy: `${hop.remedy}; policy for the configured way` };
  if (hop.kind !== "host") return hop;
  return { kind: "host", host: hop.host, port: hop.port ?? port, implicitTls: false };
}
