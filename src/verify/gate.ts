/**
 * The gate: `admit` alone makes a VerifiedSession, and deliver/ accepts nothing else, so that no MAIL FROM on an
 * unproven session is a matter of types. Runs for every delivery, also on a session used before; its result is good
 * for that delivery only.
 */
import { problem, type Problem } from "../mail/outcome.ts";
import type { Session, Verdict } from "../mail/session.ts";
import type { TlsRequirement } from "../mail/tls-requirement.ts";
import { verifyPeer } from "./verify-peer.ts";

declare const verified: unique symbol;

/** A session that has met its requirement, for one delivery. */
export interface VerifiedSession<S extends Session = Session> {
  readonly session: S;
  readonly verdict: Verdict;
  readonly deliveryId: string;
  readonly [verified]: true;
}

export interface Admission<S extends Session> {
  readonly verified: VerifiedSession<S>;
  readonly verdict: Verdict;
}

/** `now` in epoch ms. A TLS problem only ever defers: the mail waits until its schedule ends. */
export function admit<S extends Session>(
  session: S,
  requirement: TlsRequirement,
  deliveryId: string,
  now: number,
): Admission<S> | Problem<"deferred"> {
  const { host, evidence } = session;
  const verdict = verifyPeer({ host, now, ...(evidence && { evidence }) }, requirement);
  if ("failure" in verdict) return problem("deferred", verdict.failure, verdict.detail);
  // The only place where the brand is given.
  return { verified: { session, verdict, deliveryId } as VerifiedSession<S>, verdict };
}
