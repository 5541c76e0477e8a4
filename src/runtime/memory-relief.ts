/**
 * Asks V8 to let go of buffers that have passed. They lie outside of its heap, so it does not feel how many there are:
 * relaying large mail, some 100 MiB of dead ones were seen to wait for the next collection. A minor one takes about
 * a millisecond here, for the living heap is small. Without the function it does nothing.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** To be told of every octet of content that goes in or out; collects each time `everyBytes` have. */
export function createMemoryRelief(
  everyBytes: number,
  collect: () => void = minorCollection(),
): (bytes: number) => void {
  let passed = 0;
  return (bytes) => {
    passed += bytes;
    if (passed < everyBytes) return;
    passed = 0;
    collect();
  };
}

/** `gc` is there only under this flag; setting it late is what the documentation of node:v8 permits before use. */
function minorCollection(): () => void {
  setFlagsFromString("--expose-gc");
  const gc: unknown = runInNewContext("typeof gc === 'function' ? gc : undefined");
  return typeof gc === "function" ? () => void gc({ type: "minor" }) : () => undefined;
}
