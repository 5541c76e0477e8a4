/**
 * What S/MIME and DKIM would do to one message with the keys and certificates of this configuration, by the function
 * that plans it at DATA. Asks nobody: neither LDAP nor whether a certificate was revoked.
 */
import type { Settings } from "../config/settings.ts";
import type { Mailbox } from "../mail/mailbox.ts";
import type { Treatment } from "../mail/treatment.ts";
import type { DkimKey } from "../transform/dkim/key.ts";
import { maySign } from "../transform/dkim/may-sign.ts";
import type { Sender } from "../transform/sender.ts";
import { keyringOf } from "../transform/keyring.ts";
import { type Found, planContents } from "../transform/plan.ts";
import { type Candidate, keyKind } from "../transform/smime/candidate.ts";
import { rankCertificates } from "../transform/smime/choose-certificate.ts";
import { recognise } from "../transform/smime/recognise.ts";
import type { Signer } from "../transform/smime/signed-data.ts";
import { offersOf } from "./smime-certificates.ts";

export interface AskedMessage {
  /** Ends with the empty line. */
  readonly header: Buffer;
  readonly sender: Sender;
  readonly recipient: Mailbox;
  readonly treatment: Treatment;
  readonly now: number;
}

/** `text` is a clause for people. */
export interface Applied {
  readonly applies: boolean;
  readonly text: string;
}

export interface MessageTreatment {
  /** The reply at DATA, where the message would be refused. */
  readonly refused?: string;
  readonly sign: Applied;
  readonly encrypt: Applied;
  readonly dkim: Applied;
}

export function messageTreatment(settings: Settings, message: AskedMessage): MessageTreatment {
  const { header, sender, recipient, treatment, now } = message;
  const { hostname, policy } = settings;
  const keyring = keyringOf({ hostname, isClientAddress: () => false }, policy.ownDomains);
  const signer = sender.author && keyring.signerFor(sender.author, now);
  const may = maySign(sender, keyring.dkim, now);
  const keys = "keys" in may ? may.keys : [];
  const already = recognise(header).kind;
  const found = certificatesFor(settings, recipient, now);
  const plans = planContents({
    header,
    sender,
    already,
    canSign: signer !== undefined,
    hasDkimKey: keys.length > 0,
    addressees: [{ recipient: { position: 0, mailbox: recipient }, treatment }],
    certificates: new Map([[0, found]]),
    kindOf: keyKind,
  });
  const refusal = "code" in plans ? plans : undefined;
  const [plan] = "code" in plans ? [] : plans;
  const refused = refusal === undefined ? {} : { refused: `${refusal.code} ${refusal.enhancedCode} ${refusal.text}` };
  return {
    ...refused,
    sign: signApplied(message, { signs: plan?.sign === true, already, signer }),
    encrypt: encryptApplied(treatment, { already, found, encrypts: (plan?.encryptTo.length ?? 0) > 0 }),
    dkim: dkimApplied(treatment, { signs: plan?.dkim === true, why: plan?.unsigned, keys }),
  };
}

/** By the choice that is made for mail; that a trusted CA issued what was harvested, and revocation, are left out. */
function certificatesFor({ smime }: Settings, recipient: Mailbox, now: number): Found<Candidate> {
  const { address, domain, rejected } = rankCertificates(offersOf(smime), recipient, now);
  const certificates = (address.length > 0 ? address : domain).flatMap(([first]) => first?.certificate ?? []);
  if (certificates.length > 0) return { kind: "found", certificates };
  const [bad] = rejected;
  if (bad !== undefined) return { kind: "none", why: `the certificate from ${bad.source} ${bad.why}` };
  return { kind: "none", why: `no certificate is known${smime.ldap === null ? "" : " (LDAP was not asked)"}` };
}

type Already = "plain" | "signed" | "encrypted";

function signApplied(
  { sender, treatment }: AskedMessage,
  { signs, already, signer }: { signs: boolean; already: Already; signer: Signer | undefined },
): Applied {
  if (signs) return { applies: true, text: `signed with the certificate of ${signer?.certificate.subject ?? ""}` };
  if (treatment.smime.sign === "never") return { applies: false, text: "not signed: the policy says never" };
  if (already !== "plain") return { applies: false, text: `not signed: it is ${already} already` };
  const why = sender.author === undefined ? sender.unsigned : "there is no valid key of the sender";
  return { applies: false, text: `not signed: ${why ?? "the sender is unknown"}` };
}

function encryptApplied(
  { smime }: Treatment,
  { already, found, encrypts }: { already: Already; found: Found<Candidate>; encrypts: boolean },
): Applied {
  if (encrypts) return { applies: true, text: "encrypted to the recipient's certificate" };
  if (smime.encrypt === "never") return { applies: false, text: "not encrypted: the policy says never" };
  if (already === "encrypted") return { applies: false, text: "not encrypted: it is encrypted already" };
  return { applies: false, text: `not encrypted: ${found.kind === "found" ? "it is refused" : found.why}` };
}

function dkimApplied(
  { dkim }: Treatment,
  { signs, why, keys }: { signs: boolean; why: string | undefined; keys: readonly DkimKey[] },
): Applied {
  const names = keys.map(({ domain, selector, algorithm }) => `${selector}._domainkey.${domain} (${algorithm})`);
  if (signs) return { applies: true, text: `signed with ${names.join(" and ")}` };
  if (dkim === "none") return { applies: false, text: "not signed: the policy says none" };
  return { applies: false, text: `not signed: ${why ?? "it is refused"}` };
}
