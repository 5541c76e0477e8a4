/** What one check of a requirement found: what proved the peer, or why it is not proven. */
import type { Verdict } from "../mail/session.ts";
import type { TlsFailure } from "../mail/tls-failure.ts";

export interface Proof {
  readonly by: NonNullable<Verdict["authenticatedBy"]>;
  /** The name or pin that matched. */
  readonly matched: string;
}

export interface Failure {
  readonly failure: TlsFailure;
  /** One sentence for people. */
  readonly detail: string;
}

export type CheckResult = Proof | Failure;
