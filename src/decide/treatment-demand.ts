/**
 * Whether what was done to a stored message still meets what the policy of now demands. Bytes are final once stored, so
 * a message that came in before S/MIME or DKIM was demanded is not made anew: it waits for a person. Pure.
 */
import type { Treated, Treatment } from "../mail/treatment.ts";

/**
 * Completes "the message was stored …"; undefined: nothing is missing. A notice of ours is not signed by any person,
 * and has to reach its sender; but what must be encrypted is not told in plain by a notice either.
 */
export function missingTreatment({ smime, dkim }: Treatment, treated: Treated, isNotice: boolean): string | undefined {
  if (smime.encrypt === "always" && treated.smime?.encrypted !== true)
    return "without the S/MIME encryption that is demanded now";
  if (isNotice) return undefined;
  // What a user has encrypted may be signed inside, where nobody sees it; what we have encrypted is as we know it.
  const isSealed = treated.smime?.notes?.includes("already-encrypted") === true;
  if (smime.sign === "always" && treated.smime?.signed !== true && !isSealed)
    return "without the S/MIME signature that is demanded now";
  if (dkim === "require" && (treated.dkim?.signatures ?? []).length === 0)
    return "without the DKIM signature that is demanded now";
  return undefined;
}
