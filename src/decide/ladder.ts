/**
 * Which step of `on_expiry` comes next for a recipient whose time has passed (contract section 3). Pure. Steps are taken
 * in their order and none twice; when none is left the recipient ends, and its sender is told.
 */
import type { Delivery } from "../mail/delivery.ts";
import type { LadderStep } from "./policy.ts";

/** What came of encrypting to a recipient. `unknown`: whether it can be done is not known now. */
export type Encryption = "made" | "impossible" | "unknown";

export type Rung =
  | { readonly kind: "ends" }
  /** Goes on in a message of its own, encrypted. */
  | { readonly kind: "moves" }
  /** Goes on in this one, for a lifetime more. `step`: how many were taken then; `encrypts`: it waits to be encrypted. */
  | {
      readonly kind: "waits";
      readonly step: number;
      readonly lifetimeMs: number;
      readonly encrypts: boolean;
    };

/** How many were taken. A message made by the S/MIME step stands behind it, wherever that is now. */
export function stepsTaken({ course, message }: Delivery, steps: readonly LadderStep[]): number {
  if (course?.step !== undefined) return course.step;
  return message.fallback === undefined ? 0 : steps.findLastIndex(({ kind }) => kind === "smime") + 1;
}

/** The S/MIME step that recipients stand on and that was not done yet: it was not known whether it can be. */
export function isAwaitingEncryption(delivery: Delivery, steps: readonly LadderStep[]): boolean {
  return smimeAt(delivery, steps, stepsTaken(delivery, steps) - 1) !== undefined;
}

/** The S/MIME step with this number; undefined where it is another, or was done: what is encrypted is not encrypted again. */
export function smimeAt(
  { message }: Delivery,
  steps: readonly LadderStep[],
  number: number,
): (LadderStep & { readonly kind: "smime" }) | undefined {
  const step = steps[number];
  return step?.kind === "smime" && message.fallback === undefined ? step : undefined;
}

/** From the step with this number on; `encryption` is what came of an S/MIME step there. */
export function rungFrom(steps: readonly LadderStep[], number: number, encryption: Encryption): Rung {
  const step = steps[number];
  if (step === undefined) return { kind: "ends" };
  const waits = { kind: "waits", step: number + 1, lifetimeMs: step.lifetimeMs } as const;
  if (step.kind === "next-hop") return { ...waits, encrypts: false };
  switch (encryption) {
    case "made":
      return { kind: "moves" };
    case "unknown":
      return { ...waits, encrypts: true };
    case "impossible":
      return rungFrom(steps, number + 1, encryption);
  }
}
