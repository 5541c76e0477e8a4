/** One line of what `explain` answers: `value` for programs, `text` for people, `origin` where it was written. */

export interface Fact {
  readonly key: string;
  readonly label: string;
  readonly value: unknown;
  readonly text: string;
  readonly origin?: string;
}

/** `2026-11-25` */
export function day(at: number): string {
  return Number.isFinite(at) ? new Date(at).toISOString().slice(0, 10) : "unknown";
}
