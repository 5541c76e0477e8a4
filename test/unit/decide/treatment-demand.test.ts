import { describe, expect, it } from "vitest";
import { missingTreatment } from "../../../src/decide/treatment-demand.ts";
import { type SmimePolicy, type Treated, type Treatment, UNTOUCHED } from "../../../src/mail/treatment.ts";

const demand = (smime: Partial<SmimePolicy>, dkim: Treatment["dkim"] = "none"): Treatment => ({
  ...UNTOUCHED,
  smime: { ...UNTOUCHED.smime, ...smime },
  dkim,
});
const done = (signed: boolean, encrypted: boolean): Treated => ({ size: 1, smime: { signed, encrypted } });
const key = { domain: "own.test", selector: "s1", algorithm: "rsa-sha256" };

describe("what was done to a stored message, and what is demanded now", () => {
  it.each<[string, Treatment, Treated, RegExp | undefined]>([
    ["nothing is demanded", demand({ sign: "if-possible", encrypt: "if-known" }, "sign"), { size: 1 }, undefined],
    ["encryption, and it is plain", demand({ encrypt: "always" }), { size: 1 }, /encryption/],
    ["encryption, and it is signed only", demand({ encrypt: "always" }), done(true, false), /encryption/],
    ["encryption, and it is encrypted", demand({ encrypt: "always" }), done(false, true), undefined],
    ["a signature, and it has none", demand({ sign: "always" }), { size: 1 }, /S\/MIME signature/],
    ["a signature, and it has one", demand({ sign: "always" }), done(true, false), undefined],
    [
      "a signature, and a user encrypted it: what is inside nobody sees",
      demand({ sign: "always" }),
      { size: 1, smime: { signed: false, encrypted: true, notes: ["already-encrypted"] } },
      undefined,
    ],
    ["a signature, and we encrypted it unsigned", demand({ sign: "always" }), done(false, true), /S\/MIME signature/],
    ["DKIM, and it has none", demand({}, "require"), { size: 1 }, /DKIM/],
    [
      "DKIM, and it says why there is none",
      demand({}, "require"),
      { size: 1, dkim: { signatures: [], unsigned: "x" } },
      /DKIM/,
    ],
    ["DKIM, and it is signed", demand({}, "require"), { size: 1, dkim: { signatures: [key] } }, undefined],
  ])("%s", (_, treatment, treated, expected) => {
    const missing = missingTreatment(treatment, treated, false);
    if (expected === undefined) expect(missing).toBeUndefined();
    else expect(missing).toMatch(expected);
  });

  it("lets a notice of ours go without any signature, but not in plain where encryption is demanded", () => {
    expect(missingTreatment(demand({ sign: "always" }, "require"), { size: 1 }, true)).toBeUndefined();
    expect(missingTreatment(demand({ encrypt: "always" }), { size: 1 }, true)).toMatch(/encryption/);
  });
});
