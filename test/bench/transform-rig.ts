/** What the benches of transform/ work on: keys and certificates, messages as mail programs write them, the treatment. */
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { parseMailbox } from "../../src/mail/mailbox.ts";
import type { Treatment } from "../../src/mail/treatment.ts";
import { keyringOf } from "../../src/transform/keyring.ts";
import { DEFAULT_REMOVE } from "../../src/transform/leaking-fields.ts";
import { createMessageIds } from "../../src/transform/message-ids.ts";
import type { Candidate } from "../../src/transform/smime/candidate.ts";
import type { Signer } from "../../src/transform/smime/signed-data.ts";
import { type Incoming, treat, type TreatDeps, type Treating } from "../../src/transform/treat.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { bothKeys } from "../unit/transform/dkim-keys.ts";
import { candidateOf, ISSUER, issue, signerOf } from "../unit/transform/smime-cms-people.ts";

const CHUNK = 64 * 1024;
const LINE = 76;
const DAY_MS = 86_400_000;
export const NOW = Date.now();

const rsaKey = (): KeyObject => generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const author = issue({ emails: ["a@own.test"], key: rsaKey() });
const authorEc = issue({ emails: ["a@own.test"], keyType: "ec" });
export const rsaSigner: Signer = signerOf(author);
export const ecSigner: Signer = signerOf(authorEc);
export const rsaReader: Candidate = candidateOf(issue({ emails: ["b@partner.test"], key: rsaKey() }));
export const ecReader: Candidate = candidateOf(issue({ emails: ["b@partner.test"], keyType: "ec" }));
const dkimKeys = bothKeys("own.test");
export const keyring = keyringOf({ hostname: "relay.own.test", isClientAddress: (address) => address === "10.1.2.3" }, [
  {
    domain: "own.test",
    dkim: dkimKeys,
    smime: [{ address: "a@own.test", certificate: author.pem, chain: [ISSUER.pem], key: author.keyPem }],
  },
]);
export const messageIds = createMessageIds(Buffer.alloc(32, 7), "relay.own.test");

/** As a mail server of the inside writes it. */
export const HEADER = Buffer.from(
  [
    "Received: from mail1.corp.own.test (10.1.2.3) by mail2.corp.own.test (10.1.2.4)\r\n\twith Microsoft SMTP Server (version=TLS1_2) id 15.2.1; Tue, 1 Dec 2026 09:00:02 +0100",
    "Received: from pc17.corp.own.test (10.9.8.7) by mail1.corp.own.test (10.1.2.3)\r\n\twith Microsoft SMTP Server id 15.2.1; Tue, 1 Dec 2026 09:00:00 +0100",
    'From: "Anna Author" <a@own.test>',
    "To: Bert <b@partner.test>",
    "Subject: Figures of the third quarter",
    "Thread-Topic: Figures of the third quarter",
    "Thread-Index: AdcQm3m8l0yqv2yTQ5mZ1x9s2o0c1A==",
    "Date: Tue, 1 Dec 2026 09:00:00 +0100",
    "Message-ID: <4f3c2b1a@mail1.corp.own.test>",
    "In-Reply-To: <q3@partner.test>",
    "References: <q1@partner.test> <q2@partner.test>\r\n\t<q3@partner.test>",
    "Accept-Language: de-DE, en-US",
    "Content-Language: de-DE",
    "X-MS-Has-Attach: yes",
    "X-Originating-IP: [10.9.8.7]",
    "X-MS-Exchange-Organization-SCL: -1",
    "X-Mailer: Mailer 1.0",
    "User-Agent: Mailer 1.0",
    "MIME-Version: 1.0",
    'Content-Type: multipart/mixed; boundary="=_bench"',
    "",
    "",
  ].join("\r\n"),
);

/** The same above `textBody`. */
export const TEXT_HEADER = Buffer.from(
  HEADER.toString().replace(/^Content-Type: .*$/m, "Content-Type: text/plain; charset=utf-8"),
);

const TEXT = "Dear Bert, these are the figures of the third quarter as we have talked about them on Monday.\r\n".repeat(
  8,
);
const BEGIN = `--=_bench\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n${TEXT}\r\n--=_bench\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n`;
const END = "\r\n--=_bench--\r\n";

/** A text and a file in base64, as most of large mail is. */
export function attachmentBody(size: number): Buffer {
  const left = size - BEGIN.length - END.length;
  const lines = `${Buffer.alloc(57, "sealpost 2026").toString("base64")}\r\n`.repeat(Math.floor(left / (LINE + 2)));
  return Buffer.from(BEGIN + lines + END);
}

/** UTF-8 with tabs and blanks at line ends: all of it is written anew, by the signer's quoted-printable and by DKIM. */
export function textBody(size: number): Buffer {
  const line = Buffer.from("Grüße aus Köln,\tund die Zahlen des 3. Quartals, wie wir sie besprochen haben.  \r\n");
  return Buffer.concat(Array.from({ length: Math.floor(size / line.length) }, () => line));
}

/** As the queue hands out its records. */
export async function* chunksOf(body: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < body.length; at += CHUNK) yield body.subarray(at, at + CHUNK);
}

export async function drain(body: AsyncIterable<Buffer>): Promise<number> {
  let size = 0;
  for await (const chunk of body) size += chunk.length;
  return size;
}

export const STRIP: Treatment["headers"] = { received: "strip", remove: DEFAULT_REMOVE, messageId: "rewrite" };
export const PLAIN: Treatment = {
  headers: STRIP,
  smime: { sign: "never", encrypt: "never", format: "detached", tripleWrap: false },
  dkim: "sign",
};
export const SECRET: Treatment = { ...PLAIN, smime: { ...PLAIN.smime, sign: "always", encrypt: "always" } };

/** One message to one recipient, as receive.ts has it treated; resolves with the octets of its new body. */
export async function treatWhole(treatment: Treatment, body: () => AsyncIterable<Buffer>): Promise<number> {
  const treating = await treat(DEPS, incoming(treatment));
  if ("code" in treating) throw new Error(treating.text);
  for await (const chunk of body()) treating.passed(chunk);
  return finish(treating, body);
}

async function finish(treating: Treating, body: () => AsyncIterable<Buffer>): Promise<number> {
  const made = await treating.finish(body);
  if ("code" in made) throw new Error(made.text);
  let octets = 0;
  for (const content of made) {
    const size = content.body === undefined ? 0 : await drain(content.body);
    const { treated } = await content.seal(size);
    if (treated.dkim?.signatures.length !== dkimKeys.length) throw new Error("it is not signed by DKIM");
    octets += size;
  }
  return octets;
}

const DEPS: TreatDeps = {
  random: systemRandom.bytes,
  keyring: () => keyring,
  messageIds: () => messageIds,
  certificatesFor: () => Promise.resolve({ kind: "found", certificates: [rsaReader] }),
  txt: () => Promise.resolve([]),
};

function mailbox(text: string): NonNullable<ReturnType<typeof parseMailbox>> {
  const read = parseMailbox(text);
  if (read === undefined) throw new Error(`${text} is no mailbox`);
  return read;
}

function incoming(treatment: Treatment): Incoming {
  return {
    header: HEADER,
    reversePath: mailbox("a@own.test"),
    addressees: [{ recipient: { position: 0, mailbox: mailbox("b@partner.test") }, treatment }],
    hop: {
      client: { address: "10.1.2.3", port: 2_525, helo: "mail2.corp.own.test", via: "network" },
      hostname: "relay.own.test",
      queueId: "0".repeat(32),
      at: NOW,
      smtpUtf8: false,
    },
    expiresAt: NOW + 5 * DAY_MS,
  };
}
