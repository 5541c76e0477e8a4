/** Keys to sign with in tests, their records, and a DNS that has these only. */
import { generateKeyPairSync } from "node:crypto";
import type { DkimAlgorithm, DkimKeySettings } from "../../../src/mail/treatment.ts";
import { createBodyHash } from "../../../src/transform/dkim/body-hash.ts";
import { dkimSigner } from "../../../src/transform/dkim/key.ts";
import { dkimRecord } from "../../../src/transform/dkim/record.ts";
import type { LookUpTxt } from "../../../src/transform/dkim/verify.ts";

export function newKey(algorithm: DkimAlgorithm, domain = "example.org", selector = "s2026"): DkimKeySettings {
  const form = { type: "pkcs8", format: "pem" } as const;
  const { privateKey } =
    algorithm === "rsa-sha256" ? generateKeyPairSync("rsa", { modulusLength: 2048 }) : generateKeyPairSync("ed25519");
  return { domain, selector, algorithm, key: privateKey.export(form).toString() };
}

/** An RSA and an Ed25519 key of the same domain. */
export function bothKeys(domain = "example.org"): readonly DkimKeySettings[] {
  return [newKey("rsa-sha256", domain, "rsa"), newKey("ed25519-sha256", domain, "ed")];
}

export const signers = (keys: readonly DkimKeySettings[]) => keys.map(dkimSigner);

export function dnsOf(...keys: readonly DkimKeySettings[]): LookUpTxt {
  const records = new Map(keys.map(dkimRecord).map(({ name, value }) => [name, value]));
  return async (name) => {
    const value = records.get(name);
    return value === undefined ? [] : [value];
  };
}

export function bodyHashOf(body: Buffer): Buffer {
  const hash = createBodyHash();
  hash.update(body);
  return hash.digest();
}

export const AT = { now: Date.UTC(2026, 10, 24), expiresAt: Date.UTC(2026, 11, 4) };
