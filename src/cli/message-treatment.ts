/**
 * What S/MIME and DKIM would do to one message with the keys and certificates of this configuration, by the function
 * that plans it at DATA. Asks nobody: neither LDAP nor whether a certificate was revoked.
 */
import { X509Certificate } from "node:crypto";
import type { Settings } from "../config/settings.ts";
import type { OwnDomain } from "../decide/policy.ts";
import { ancestry } from "../mail/domain-name.ts";
import { isAddressLiteral, type Mailbox, mailboxKey } from "../mail/mailbox.ts";
import type { SmimeSettings } from "../mail/smime-settings.ts";
import type { DkimKeySettings, SmimeRecipientSettings, SmimeSignerSettings, Treatment } from "../mail/treatment.ts";
import type { Sender } from "../transform/sender.ts";
import { type Found, planContents } from "../transform/plan.ts";
import { recognise } from "../transform/smime/recognise.ts";

export interface AskedMessage {
  /** Ends with the empty line. */
  readonly header: Buffer;
  readonly sender: Sender;
  readonly recipient: Mailbox;
  readonly treatment: Treatment;
  readonly now: number;
}

export type WithSmime = Settings & { readonly smime?: SmimeSettings };

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

export function messageTreatment(settings: WithSmime, message: AskedMessage): MessageTreatment {
  const { header, sender, recipient, treatment, now } = message;
  const own = sender.author === undefined ? undefined : ownDomainOf(settings, sender.author);
  const signer = sender.author === undefined ? undefined : signerFor(own?.smime ?? [], sender.author, now);
  const keys = (own?.dkim ?? []).filter((key) => isInForce(key, now));
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

/** The domain itself, or the nearest above it. */
function ownDomainOf({ policy }: Settings, { domain }: Mailbox): OwnDomain | undefined {
  if (isAddressLiteral(domain)) return undefined;
  const names = [...ancestry(domain)];
  return names.map((name) => policy.ownDomains.find((own) => own.domain === name)).find((own) => own !== undefined);
}

function signerFor(
  signers: readonly SmimeSignerSettings[],
  author: Mailbox,
  now: number,
): SmimeSignerSettings | undefined {
  const inForce = signers.filter(({ certificate }) => isValid(certificate, now));
  return (
    inForce.find(({ address }) => address === mailboxKey(author)) ??
    inForce.find(({ address }) => address === undefined)
  );
}

function isInForce({ notBefore = 0, endsAt = Number.POSITIVE_INFINITY }: DkimKeySettings, now: number): boolean {
  return notBefore <= now && now < endsAt;
}

function isValid(pem: string, now: number): boolean {
  const { validFromDate, validToDate } = new X509Certificate(pem);
  return validFromDate.getTime() <= now && now < validToDate.getTime();
}

function certificatesFor({ smime }: WithSmime, recipient: Mailbox, now: number): Found<SmimeRecipientSettings> {
  const all = [...(smime?.recipients ?? []), ...(smime?.harvested ?? [])];
  const key = mailboxKey(recipient);
  const personal = all.filter(({ addresses }) => addresses.includes(key));
  const ofDomain = all.filter(({ domains }) => domains.includes(key.slice(key.lastIndexOf("@") + 1)));
  const certificates = (personal.length > 0 ? personal : ofDomain).filter(({ certificate }) =>
    isValid(certificate, now),
  );
  if (certificates.length > 0) return { kind: "found", certificates };
  if (personal.length + ofDomain.length > 0) return { kind: "none", why: "its certificate is not in its dates" };
  const also = smime?.ldap ? " (LDAP was not asked)" : "";
  return { kind: "none", why: `no certificate is known${also}` };
}

type Already = "plain" | "signed" | "encrypted";

function signApplied(
  { sender, treatment }: AskedMessage,
  { signs, already, signer }: { signs: boolean; already: Already; signer: SmimeSignerSettings | undefined },
): Applied {
  if (signs) return { applies: true, text: `signed with the key of ${signer?.address ?? "the whole domain"}` };
  if (treatment.smime.sign === "never") return { applies: false, text: "not signed: the policy says never" };
  if (already !== "plain") return { applies: false, text: `not signed: it is ${already} already` };
  const why = sender.author === undefined ? sender.unsigned : "there is no valid key of the sender";
  return { applies: false, text: `not signed: ${why ?? "the sender is unknown"}` };
}

function encryptApplied(
  { smime }: Treatment,
  { already, found, encrypts }: { already: Already; found: Found<SmimeRecipientSettings>; encrypts: boolean },
): Applied {
  if (encrypts) return { applies: true, text: "encrypted to the recipient's certificate" };
  if (smime.encrypt === "never") return { applies: false, text: "not encrypted: the policy says never" };
  if (already === "encrypted") return { applies: false, text: "not encrypted: it is encrypted already" };
  return { applies: false, text: `not encrypted: ${found.kind === "found" ? "it is refused" : found.why}` };
}

function dkimApplied(
  { dkim }: Treatment,
  { signs, why, keys }: { signs: boolean; why: string | undefined; keys: readonly DkimKeySettings[] },
): Applied {
  const names = keys.map(({ domain, selector, algorithm }) => `${selector}._domainkey.${domain} (${algorithm})`);
  if (signs) return { applies: true, text: `signed with ${names.join(" and ")}` };
  if (dkim === "none") return { applies: false, text: "not signed: the policy says none" };
  return { applies: false, text: `not signed: ${why ?? "it is refused"}` };
}
