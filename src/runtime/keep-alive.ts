/** Holds the process while a command waits for something that does not: our timers and idle sockets let it end. */
const FAR_MS = 2_147_483_647;

/** The returned function lets go. */
export function keepAlive(): () => void {
  const timer = setInterval(() => undefined, FAR_MS);
  return () => clearInterval(timer);
}
