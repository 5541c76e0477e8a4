/** Pinned certificates and public keys: whether the leaf is one of those that count at this instant. Pure. */
import type { PeerCertificate } from "../mail/peer-evidence.ts";
import type { Pin } from "../mail/tls-requirement.ts";
import type { CheckResult } from "./check-result.ts";

/**
 * Any one pin suffices. The certificate's own dates and issuer do not count: the pin is the whole proof.
 * `now` in epoch ms; a pin past its `notAfter` is as good as absent.
 */
export function checkPins(leaf: PeerCertificate | undefined, pins: readonly Pin[], now: number): CheckResult {
  if (leaf === undefined) return { failure: "fingerprint-mismatch", detail: "The server showed no certificate" };
  const equal = pins.filter((pin) => pin.sha256 === (pin.of === "certificate" ? leaf.sha256 : leaf.spkiSha256));
  const valid = equal.find(({ notAfter }) => notAfter === undefined || now < notAfter);
  if (valid !== undefined) return { by: "fingerprint", matched: `${valid.of} ${valid.sha256}` };
  const detail =
    equal.length > 0
      ? "The pin of the server's certificate is past its not_after date"
      : `Neither the server's certificate (SHA-256 ${leaf.sha256}) nor its public key (${leaf.spkiSha256}) is pinned`;
  return { failure: "fingerprint-mismatch", detail };
}
