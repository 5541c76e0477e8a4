/** What one check of `sealpost doctor` found: a state, a sentence, and what to do where it is not good. */

export interface Finding {
  /** What was looked at, as `resolver` or `clock`. */
  readonly check: string;
  readonly state: "good" | "warn" | "bad";
  /** One sentence; may quote what came from others. */
  readonly text: string;
  /** One sentence; absent where all is good. */
  readonly remedy?: string;
}

export function good(check: string, text: string): Finding {
  return { check, state: "good", text };
}

export function warn(check: string, text: string, remedy: string): Finding {
  return { check, state: "warn", text, remedy };
}

export function bad(check: string, text: string, remedy: string): Finding {
  return { check, state: "bad", text, remedy };
}
