/**
 * DKIM for what the gateway itself writes: its notices. They must reach their sender in any case, so what cannot be
 * signed goes unsigned; the caller is told why, and tells it.
 */
import type { DkimTreated } from "../mail/treatment.ts";
import { createBodyHash } from "./dkim/body-hash.ts";
import { maySign } from "./dkim/may-sign.ts";
import { DkimSigningError, signHeader } from "./dkim/sign.ts";
import { TWO_DAYS_MS } from "./finish.ts";
import type { Keyring } from "./keyring.ts";
import { senderOf } from "./sender.ts";

export interface OwnMessage {
  readonly header: Buffer;
  readonly body: Buffer;
}

export interface SignedOwn {
  readonly header: Buffer;
  readonly dkim: DkimTreated;
  /** The keys are there, and could not sign. */
  readonly failure?: DkimSigningError;
}

/** `expiresAt`: epoch ms; until then it may wait. */
export async function signOwnMessage(
  { header, body }: OwnMessage,
  keyring: Keyring,
  { now, expiresAt }: { readonly now: number; readonly expiresAt: number },
): Promise<SignedOwn> {
  const dkim = maySign(senderOf(header, null, keyring.domains), keyring.dkim, now);
  if ("unsigned" in dkim) return { header, dkim: { signatures: [], unsigned: dkim.unsigned } };
  const hash = createBodyHash();
  hash.update(body);
  try {
    const times = { now, expiresAt: expiresAt + TWO_DAYS_MS };
    const signed = await signHeader(header, hash.digest(), dkim.keys, times);
    const signatures = dkim.keys.map(({ domain, selector, algorithm }) => ({ domain, selector, algorithm }));
    return { header: signed, dkim: { signatures } };
  } catch (error) {
    if (!(error instanceof DkimSigningError)) throw error;
    return { header, dkim: { signatures: [], unsigned: "its signature could not be made" }, failure: error };
  }
}
