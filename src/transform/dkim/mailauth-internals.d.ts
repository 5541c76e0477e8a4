/**
 * The members of mailauth's verifier (7.1) that its published types leave out and strict-verifier.ts builds on. Its
 * tests pin how they behave; read it again before another version is taken.
 */
declare module "mailauth/lib/dkim/dkim-verifier.js" {
  import type { Writable } from "node:stream";
  import type { ARCData, DKIMResult, DKIMVerifyOptions } from "mailauth";

  export interface BodyHasher {
    update(chunk: Buffer): void;
    digest(encoding: "base64"): string;
    getMimeStructureStart(): false;
    setContentType(): void;
  }

  export const DkimVerifier: new (
    options: DKIMVerifyOptions,
  ) => Writable & {
    readonly results: DKIMResult[];
    readonly arc: ARCData;
    /** Filled by addBodyHash, then fed with the body; each signature finds its own by the key. */
    readonly bodyHashes: Map<string, BodyHasher>;
    addBodyHash(bodyCanon: string, hashAlgo: string, maxBodyLength: number | ""): string;
  };
}
