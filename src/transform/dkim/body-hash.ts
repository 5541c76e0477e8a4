/**
 * The hash of a body as DKIM means it (RFC 6376 §3.7), while the body passes. Whatever way it is cut, the hash is the
 * same; memory is constant and time linear whatever is in it. Ours is always SHA-256 over all of the relaxed form; the
 * other ways are there to verify what others have signed.
 */
import { createHash } from "node:crypto";
import { RelaxedBody } from "./relaxed-body.ts";
import { SimpleBody } from "./simple-body.ts";

export interface BodyHash {
  /** `chunk` may be reused by its maker afterwards. */
  readonly update: (chunk: Buffer) => void;
  /** Once, at the end: 32 octets with SHA-256. */
  readonly digest: () => Buffer;
}

export interface BodyHashWay {
  readonly form: "relaxed" | "simple";
  readonly algorithm: "sha256" | "sha1";
  /** `l=`: octets of the form that count. */
  readonly limit?: number;
}

const OURS: BodyHashWay = { form: "relaxed", algorithm: "sha256" };

export function createBodyHash({ form, algorithm, limit = Number.POSITIVE_INFINITY }: BodyHashWay = OURS): BodyHash {
  const hash = createHash(algorithm);
  let left = limit;
  const sink = (octets: Buffer): void => {
    if (left <= 0) return;
    hash.update(octets.length <= left ? octets : octets.subarray(0, left));
    left -= octets.length;
  };
  const body = form === "relaxed" ? new RelaxedBody(sink) : new SimpleBody(sink);
  return {
    update: (chunk) => body.update(chunk),
    digest: () => {
      body.end();
      return hash.digest();
    },
  };
}
