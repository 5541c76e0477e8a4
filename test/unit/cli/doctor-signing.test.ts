/** `doctor` on certificates that sign and encrypt mail. */
import { describe, expect, it } from "vitest";
import { checkSmime } from "../../../src/cli/doctor-signing.ts";
import type { SmimeSettings } from "../../../src/mail/smime-settings.ts";
import type { SmimeRecipientSettings, SmimeSignerSettings } from "../../../src/mail/treatment.ts";
import { createMailAuthority, type Held, selfSignedPerson } from "../../peers/mail-authority.ts";
import { outbound } from "../decide/policies.ts";
import { NOW, settings } from "./fake-deps.ts";

const DAY = 86_400_000;
const within = (days: number) => ({ notBefore: new Date(NOW - 400 * DAY), notAfter: new Date(NOW + days * DAY) });
const root = createMailAuthority("Root", within(3_000));
const middle = root.below("Mail CA", within(2_000));

function found({
  signers = [],
  recipients = [],
}: {
  signers?: SmimeSignerSettings[];
  recipients?: SmimeRecipientSettings[];
}) {
  const own = (domain: string) => ({ domain, outbound: outbound(), dkim: [], smime: signers });
  const smime: SmimeSettings = {
    trust: "system",
    recipients,
    harvested: [],
    ldap: null,
    revocation: { check: true, unreachable: "accept", allowPrivate: false },
  };
  return checkSmime({ ...settings({ ownDomains: [own("example.org"), own("example.com")] }), smime }, NOW);
}

const signer = (held: Held, ...chain: Held[]): SmimeSignerSettings => ({
  certificate: held.pem,
  chain: chain.map(({ pem }) => pem),
  key: held.keyPem,
});
const anna = (days: number) => middle.issue({ commonName: "Anna", emails: ["anna@example.org"], ...within(days) });

describe("our own S/MIME certificates", () => {
  it.each([
    [40, "good", /CN=Anna ends in 40 days/],
    [29, "warn", /ends in 29 days \(2026-12-24\)/],
    [6, "bad", /ends in 6 days/],
    [-1, "bad", /CN=Anna has ended \(2026-11-24\)/],
  ])("with %i days left are %s, told once", (days, state, text) => {
    const [dates, ...more] = found({ signers: [signer(anna(days), middle, root)] });
    expect(dates).toMatchObject({ check: "smime", state, text: expect.stringMatching(text) as string });
    expect(more.map(({ check }) => check)).toEqual(["smime chain"]);
  });

  it.each([
    ["good", "complete", [middle, root]],
    ["warn", "ends at CN=Mail CA, and no root of this machine", [middle]],
    ["warn", "ends at CN=Anna, and no root of this machine", []],
  ])("are %s where the chain is or %s", (state, text, chain) => {
    const [, one] = found({ signers: [signer(anna(100), ...chain)] });
    expect(one).toMatchObject({ check: "smime chain", state, text: expect.stringContaining(text) as string });
  });

  it("that are self-signed verify nowhere", () => {
    const [, one] = found({ signers: [signer(selfSignedPerson({ commonName: "Gateway", ...within(100) }))] });
    expect(one).toMatchObject({ state: "warn", remedy: expect.stringContaining("sealpost smime request") as string });
  });
});

const recipient = (held: Held, over: Partial<SmimeRecipientSettings> = {}): SmimeRecipientSettings => ({
  certificate: held.pem,
  addresses: ["bea@acme.example"],
  domains: [],
  file: "bea.pem",
  ...over,
});

describe("partners' certificates", () => {
  it("are good for 30 days or longer, in one line", () => {
    const recipients = [recipient(anna(40)), recipient(anna(60), { addresses: [], domains: ["acme.example"] })];
    expect(found({ recipients })).toMatchObject([
      { check: "smime partners", state: "good", text: "2 certificates of partners can be used for 30 days or longer." },
    ]);
  });

  it.each([
    [20, "warn", "The S/MIME certificate of bea@acme.example (CN=Anna) ends on 2026-12-15."],
    [
      -2,
      "bad",
      "The S/MIME certificate of bea@acme.example (CN=Anna) has ended (2026-11-23): nothing is encrypted to it.",
    ],
  ])("that end in %i days are %s", (days, state, text) => {
    expect(found({ recipients: [recipient(anna(days))] })).toMatchObject([{ state, text }]);
  });

  it("that ended need no word once another has come for all their holders", () => {
    const old = recipient(anna(-2), { domains: ["acme.example"] });
    expect(found({ recipients: [old, recipient(anna(90))] })).toMatchObject([
      { state: "bad", text: expect.stringContaining("of @acme.example (") as string },
    ]);
    const both = { domains: ["acme.example"] };
    expect(found({ recipients: [old, recipient(anna(90), both)] })).toMatchObject([{ state: "good" }]);
  });

  it("are no matter where there are none", () => expect(found({})).toEqual([]));
});
