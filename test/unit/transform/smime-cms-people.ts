/** Who signs and reads in the tests of CMS. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { readCandidate, type Candidate } from "../../../src/transform/smime/candidate.ts";
import { type Signer, toSigner } from "../../../src/transform/smime/signed-data.ts";
import { createMailAuthority, type Held, type Person } from "../../peers/mail-authority.ts";

const root = createMailAuthority("Root");
const authority = root.below("Mail CA");
export const ISSUER = authority;

export function issue(person: Person): Held {
  return authority.issue({ commonName: "Anna", emails: ["anna@acme.test"], ...person });
}

export function ecKey(namedCurve: string): KeyObject {
  return generateKeyPairSync("ec", { namedCurve }).privateKey;
}

export function signerOf({ pem, keyPem }: Held, chain: readonly string[] = [authority.pem]): Signer {
  return toSigner({ certificate: pem, chain, key: keyPem });
}

export function candidateOf({ der }: Held): Candidate {
  const read = readCandidate(der);
  if (read === undefined) throw new Error("no certificate");
  return read;
}

/** Too short to be used; one for all, since it takes long to make. */
export const SHORT_RSA = generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey;
