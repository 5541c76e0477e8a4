/** Opens the TCP connection to one address of a host, from the configured source address of that family. */
import { connect, isIPv6, type Socket } from "node:net";
import type { Host } from "../mail/host.ts";
import { problem, type Problem } from "../mail/outcome.ts";
import type { Clock } from "../runtime/clock.ts";
import type { DeliverySettings } from "./settings.ts";

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the connection is refused",
  ETIMEDOUT: "no answer",
  EHOSTUNREACH: "no route to the host",
  ENETUNREACH: "no route to the network",
  ECONNRESET: "the connection was reset",
  EADDRNOTAVAIL: "the source address is not available here",
  ABORT_ERR: "the gateway is stopping",
};

/** Resolves with a connected socket, paused. */
export function connectTcp(
  host: Host,
  settings: DeliverySettings,
  clock: Clock,
  stopping: AbortSignal,
): Promise<Socket | Problem<"deferred">> {
  const localAddress = sourceAddressFor(host.address, settings.sourceAddresses);
  return new Promise((resolve) => {
    const socket = connect({ host: host.address, port: host.port, ...(localAddress && { localAddress }) });
    const fail = (code: string): void => {
      finish();
      socket.destroy();
      const where = `${host.name} (${host.address}, port ${host.port})`;
      resolve(problem("deferred", "connection-failed", `Could not connect to ${where}: ${WORDS[code] ?? code}`));
    };
    const onError = (error: NodeJS.ErrnoException): void => fail(error.code ?? "unknown error");
    const onAbort = (): void => fail("ABORT_ERR");
    const cancel = clock.after(settings.connectTimeoutMs, () => fail("ETIMEDOUT"));
    const finish = (): void => {
      cancel();
      socket.removeListener("error", onError);
      stopping.removeEventListener("abort", onAbort);
    };
    socket.on("error", () => undefined); // what comes later is seen as the connection's end
    socket.once("error", onError);
    socket.once("connect", () => {
      finish();
      resolve(socket);
    });
    stopping.addEventListener("abort", onAbort, { once: true });
    if (stopping.aborted) onAbort();
  });
}

/** The configured source address of the same family; undefined: the system chooses. */
export function sourceAddressFor(address: string, sources: readonly string[]): string | undefined {
  return sources.find((source) => isIPv6(source) === isIPv6(address));
}
