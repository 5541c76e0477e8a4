/**
 * mailauth's verifier, by the strict reading of the RFCs, with body hashes of ours: its own take time that grows with
 * the square of a line's length, and keep the whole line in memory.
 */
import { DkimVerifier } from "mailauth/lib/dkim/dkim-verifier.js";
import type { DNSResolver } from "mailauth";
import { createBodyHash } from "./body-hash.ts";

export class StrictVerifier extends DkimVerifier {
  constructor(options: { readonly resolver: DNSResolver; readonly now: number }) {
    super({ strict: true, curTime: new Date(options.now), resolver: options.resolver });
  }

  override addBodyHash(bodyCanon: string, hashAlgo: string, maxBodyLength: number | ""): string {
    const key = JSON.stringify([bodyCanon, hashAlgo, maxBodyLength]);
    if (!this.bodyHashes.has(key)) {
      const hash = createBodyHash({
        form: bodyCanon === "relaxed" ? "relaxed" : "simple",
        algorithm: hashAlgo === "sha1" ? "sha1" : "sha256",
        ...(maxBodyLength !== "" && { limit: maxBodyLength }),
      });
      this.bodyHashes.set(key, {
        update: hash.update,
        digest: () => hash.digest().toString("base64"),
        getMimeStructureStart: () => false,
        setContentType: () => undefined,
      });
    }
    return key;
  }
}
