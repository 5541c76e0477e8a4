/** The lines of `explain` that tell what is done to a message on its way out: header, S/MIME, DKIM. */
import type { HeaderPolicy, Treatment } from "../mail/treatment.ts";
import type { Fact } from "./fact.ts";

/** Where a key was written. */
type At = (path: string) => { origin?: string };

export function headersFact({ headers }: Treatment, at: At): Fact {
  return { key: "headers", label: "headers", value: headers, text: headersText(headers), ...at("headers") };
}

function headersText({ received, remove, messageId }: HeaderPolicy): string {
  const parts = [
    RECEIVED[received],
    ...(remove.length === 0 ? [] : [`removed: ${listed(remove)}`]),
    ...(messageId === "rewrite" ? ["the Message-ID is rewritten"] : []),
  ];
  return `${parts.join("; ")}.`;
}

const RECEIVED: Readonly<Record<HeaderPolicy["received"], string>> = {
  keep: "One Received field of ours is added; the others stay",
  strip: "The Received fields of our own side go; one of ours without internal names stands for them",
  anonymize: "The Received fields of our own side stay without internal names and addresses",
};

const SHOWN = 6;

function listed(names: readonly string[]): string {
  const more = names.length - SHOWN;
  return more <= 1 ? names.join(", ") : `${names.slice(0, SHOWN).join(", ")} and ${more} more`;
}

export function smimeFact({ smime }: Treatment, at: At): Fact {
  const { sign, encrypt, format, tripleWrap } = smime;
  const how = [
    ...(sign !== "never" && format === "opaque" ? ["opaque (application/pkcs7-mime)"] : []),
    ...(tripleWrap && sign !== "never" && encrypt !== "never" ? ["what was encrypted is signed once more"] : []),
  ];
  const text = [`${SIGN[sign]}; ${ENCRYPT[encrypt]}`, ...how].join("; ");
  const origin = [at("smime.encrypt"), at("smime.sign"), at("smime")].find((one) => one.origin !== undefined) ?? {};
  return { key: "smime", label: "S/MIME", value: smime, text: `${text}.`, ...origin };
}

const SIGN: Readonly<Record<Treatment["smime"]["sign"], string>> = {
  never: "Not signed",
  "if-possible": "Signed where we have a key of the sender",
  always: "Signed; without a key of the sender the message is refused",
};

const ENCRYPT: Readonly<Record<Treatment["smime"]["encrypt"], string>> = {
  never: "not encrypted",
  "if-known": "encrypted where a certificate of the recipient is known",
  always: "encrypted; without a certificate of the recipient the message is refused",
};

export function dkimFact({ dkim }: Treatment, at: At): Fact {
  return { key: "dkim", label: "DKIM", value: dkim, text: DKIM[dkim], ...at("dkim") };
}

const DKIM: Readonly<Record<Treatment["dkim"], string>> = {
  none: "Not signed.",
  sign: "Signed with the keys of the sender's domain; a domain without keys goes unsigned.",
  require: "Signed with the keys of the sender's domain; without one the message is refused.",
};
