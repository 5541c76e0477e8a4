/** Addresses and ports we listen on: each once, and the admin listener on this machine only. */
import { isIPv4 } from "node:net";
import { type Checked, isBroken } from "./check-schema.ts";
import { originAt, type Path } from "./located.ts";
import type { Problems } from "./problems.ts";
import { isLoopback } from "./scalars.ts";
import type { Gateway } from "./schema/gateway.ts";

interface Endpoint {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly path: Path;
}

export function checkEndpoints({ value, tree, broken }: Checked<Gateway>, problems: Problems): void {
  const { address, port } = value.admin;
  if (!isLoopback(address)) {
    const remedy = "write 127.0.0.1 or ::1";
    problems.add(
      originAt(tree, ["admin", "address"]),
      "not available yet: the admin listener on other addresses, with TLS",
      remedy,
    );
  }
  if (value.listeners.length === 0 && !isBroken(broken, "listeners")) {
    const remedy = "write listeners: [{name: smarthost, address: 127.0.0.1, port: 2525, clients: [127.0.0.0/8]}]";
    problems.add(originAt(tree, ["listeners"]), "no listener: nothing would accept mail", remedy);
  }
  const seen: Endpoint[] = [{ name: "admin", address, port, path: ["admin", "port"] }];
  for (const [index, listener] of value.listeners.entries()) {
    const endpoint = { ...listener, path: ["listeners", index, "port"] };
    const same = seen.find((other) => overlap(other, endpoint));
    if (same !== undefined) {
      const message = `${endpoint.address}:${endpoint.port} is taken by ${same.name}`;
      problems.add(originAt(tree, endpoint.path), message, "write another port or address");
    }
    seen.push(endpoint);
  }
}

function overlap(a: Endpoint, b: Endpoint): boolean {
  if (a.port !== b.port || a.port === 0 || isIPv4(a.address) !== isIPv4(b.address)) return false;
  return a.address === b.address || [a, b].some(({ address }) => address === "0.0.0.0" || address === "::");
}
