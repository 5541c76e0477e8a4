/**
 * `sealpost explain ADDRESS --headers FILE`: what the treatment for one recipient makes of a message's header, by the
 * function that does it to mail: before and after. Reads the file, changes nothing and sends nothing.
 */
import { open } from "node:fs/promises";
import { resolve } from "node:path";
import type { Settings } from "../config/settings.ts";
import { decisions } from "../decide/decide.ts";
import { applyRules, type Ruled } from "../decide/rules.ts";
import { fieldMailboxes } from "../mail/from-field.ts";
import { countHops } from "../mail/hop-count.ts";
import { formatMailbox, formatReversePath, type Mailbox, parseMailbox } from "../mail/mailbox.ts";
import { type Field, parseHeader } from "../transform/header-block.ts";
import { ownNames } from "../transform/keyring.ts";
import { createMessageIds } from "../transform/message-ids.ts";
import { coveredFields, isOwnSignature, signerOf } from "../transform/own-signatures.ts";
import { insideAddresses, isReservedName, type OwnSide, ownSide } from "../transform/own-side.ts";
import { receivedField } from "../transform/received.ts";
import { senderOf } from "../transform/sender.ts";
import { editHeader, type HeaderEdit } from "../transform/strip-topology.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { demandsTexts } from "./explain-message.ts";
import { type MessageTreatment, messageTreatment } from "./message-treatment.ts";
import { loadSettings } from "./settings.ts";
import { count, fitted, painter, printable } from "./text.ts";

export interface HeadersOptions {
  readonly file: string;
  /** The envelope sender as it was written; else the one of From. `<>` is the null sender. */
  readonly sender?: string;
}

/** As the gateway does at DATA (design, Transform). */
const LARGEST_HEADER = 256 * 1024;

export async function explainHeaders(
  deps: CliDeps,
  common: Common,
  recipient: Mailbox,
  { file, sender: written }: HeadersOptions,
): Promise<ExitCode> {
  const reversePath =
    written === undefined ? undefined : written === "" || written === "<>" ? null : parseMailbox(written);
  if (written !== undefined && reversePath === undefined)
    return refuse(deps, EXIT.usage, [`--sender ${JSON.stringify(written)} is no address. Write one, or <>.`]);
  const header = await headerOf(resolve(deps.cwd, file));
  if (typeof header === "string") return refuse(deps, EXIT.usage, [`${file} ${header}.`]);
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  const now = deps.clock.now();
  const { treatment: usual, permitted } = decisions(settings.policy)(recipient, now);
  if (!permitted) {
    const why = "outbound.unlisted is refuse, and no partner file names this destination";
    return refuse(deps, EXIT.no, [`${formatMailbox(recipient)} is refused at RCPT with 550 5.7.1: ${why}.`]);
  }
  const from = reversePath === undefined ? (fieldMailboxes(header, "From")?.[0] ?? null) : reversePath;
  const recipients = [{ position: 0, mailbox: recipient }];
  const ruled = applyRules(settings.policy, { header, reversePath: from, recipients });
  const treatment = ruled.treatment(0, usual);
  const domains = ownNames(settings.policy.ownDomains);
  const sender = senderOf(header, from, new Set(domains));
  const edit = editHeader(header, treatment.headers, {
    own: ownSide({ hostname: settings.hostname, domains, isClientAddress: clientAddresses(settings) }),
    isOurs: sender.isOurs,
    covered: new Set(), // whether a signature of others is valid, only their DNS could tell
    publicSigners: new Set(),
    received: sampleReceived(settings.hostname, treatment.headers.received, header, now),
    messageIds: createMessageIds(deps.random.bytes(32), settings.hostname),
  });
  const after = messageTreatment(settings, { header, sender, recipient, treatment, now });
  const signed = signedByOthers(header, edit, domains);
  const answer = { recipient, from, isOurs: sender.isOurs, header, edit, signed, after, ruled };
  if (common.json) printJson(deps, asJson(answer));
  else print(deps, answer);
  return after.refused === undefined && ruled.refused === undefined ? EXIT.good : EXIT.no;
}

interface Answer {
  readonly recipient: Mailbox;
  readonly from: Mailbox | null;
  readonly isOurs: boolean;
  readonly header: Buffer;
  readonly edit: HeaderEdit;
  /** Names of edited fields that a DKIM signature of others covers: where it is valid, they stay. */
  readonly signed: readonly string[];
  readonly after: MessageTreatment;
  readonly ruled: Ruled;
}

function signedByOthers(header: Buffer, { removed, changed }: HeaderEdit, domains: readonly string[]): string[] {
  const isSignature = (field: Field): boolean => field.name.toLowerCase() === "dkim-signature";
  const isOther = (field: Field): boolean =>
    isSignature(field) && !isOwnSignature(field, domains) && !isReservedName(signerOf(field));
  const signatures = parseHeader(header).filter(isOther);
  const covered = new Set(signatures.flatMap(coveredFields));
  const edited = [...removed, ...changed].map(({ name }) => name).filter((name) => covered.has(name.toLowerCase()));
  return [...new Set([...edited, ...removed.filter(isOther).map(({ name }) => name)])];
}

/** Whole lines up to and with the empty one, CRLF at their ends whatever the file has; or what is wrong with it. */
async function headerOf(path: string): Promise<Buffer | string> {
  const head = await beginningOf(path);
  if (head === undefined) return "cannot be read. Name a stored message";
  const text = head.toString("latin1").replace(/\r?\n/g, "\r\n");
  const end = text.startsWith("\r\n") ? 0 : text.indexOf("\r\n\r\n");
  if (end < 0 && head.length > LARGEST_HEADER) return "has a header of more than 256 kB; the gateway refuses it";
  const lines = end < 0 ? text.replace(/(?:\r\n)?$/, "\r\n") : text.slice(0, end === 0 ? 0 : end + 2);
  return Buffer.from(`${lines}\r\n`, "latin1");
}

async function beginningOf(path: string): Promise<Buffer | undefined> {
  try {
    const handle = await open(path, "r");
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(LARGEST_HEADER + 1), 0, LARGEST_HEADER + 1, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch {
    return undefined; // the caller says which file it was
  }
}

function clientAddresses({ accept }: Settings): OwnSide["isClientAddress"] {
  return insideAddresses(accept.listeners.flatMap(({ clients }) => clients.map(({ network }) => network)));
}

/** Ours, for a client that stands for any. */
function sampleReceived(
  hostname: string,
  received: "strip" | "anonymize" | "keep",
  header: Buffer,
  at: number,
): Buffer {
  const tls = { version: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" };
  const client = { address: "192.0.2.1", port: 0, helo: "client.example", via: "network", tls } as const;
  const hops = countHops(header);
  return receivedField({ client, hostname, queueId: "QUEUEID", at, smtpUtf8: false, received, hops });
}

/** Octets that are no UTF-8 are shown as such. */
function shown(raw: Buffer): string {
  return raw.toString("utf8").replace(/\r\n$/, "");
}

function asJson({ recipient, from, isOurs, header, edit, signed, after, ruled }: Answer): object {
  return {
    recipient: formatMailbox(recipient),
    sender: formatReversePath(from),
    ours: isOurs,
    before: header.toString("utf8"),
    after: edit.header.toString("utf8"),
    removed: edit.removed.map(({ name, raw }) => ({ name, field: shown(raw) })),
    changed: edit.changed.map(({ name, before, after: now }) => ({ name, before: shown(before), after: shown(now) })),
    kept: edit.kept,
    signedByOthers: signed,
    demands: ruled.demands ?? {},
    ...(ruled.refused && { refusedBy: ruled.refused }),
    ...after,
  };
}

function print(deps: CliDeps, answer: Answer): void {
  const { recipient, from, isOurs, edit, after, ruled } = answer;
  const paint = painter(deps.stdout, deps.env);
  const line = (text: string): void => void deps.stdout.write(`${fitted(text, deps.stdout)}\n`);
  line(paint("bold", `To ${formatMailbox(recipient)}, from ${from === null ? "<>" : formatMailbox(from)}`));
  if (!isOurs) line("The message is not from one of our domains: nothing but our Received field is added.");
  for (const { sign, raw } of listed(answer)) {
    const text = `${sign} ${printable(shown(raw).replace(/\r\n[ \t]+/g, " "))}`;
    line(sign === "+" ? paint("green", text) : sign === "-" ? paint("red", text) : paint("yellow", text));
  }
  const untouched = parseHeader(answer.header).length - edit.removed.length - edit.changed.length;
  line(`  ${count(untouched, "field")} unchanged`);
  for (const { name, why } of edit.kept) line(`  ${printable(name)} stays: ${why}`);
  if (answer.signed.length > 0)
    line(
      `  ${printable(answer.signed.join(", "))}: signed by another domain; where that signature is valid, they stay`,
    );
  line(`  ${paint("bold", "S/MIME")}  ${after.sign.text}; ${after.encrypt.text}`);
  line(`  ${paint("bold", "DKIM")}    ${after.dkim.text}`);
  for (const text of demandsTexts(ruled.demands ?? {})) line(`  ${paint("bold", "demands")} ${printable(text)}`);
  if (ruled.refused !== undefined)
    line(paint("red", `  The message is refused by the rule ${ruled.refused.rule}: 550 5.7.1 ${ruled.refused.text}`));
  if (after.refused !== undefined) line(paint("red", `  The message is refused: ${after.refused}`));
}

type Line = { readonly sign: "-" | "+" | "~"; readonly raw: Buffer };

/** In the order of the block, ours on top; a rewritten field as it was, and below it as it is. */
function listed({ header, edit }: Answer): readonly Line[] {
  const removed = new Set(edit.removed.map(({ raw }) => raw.byteOffset));
  const changed = new Map(edit.changed.map(({ before, after }) => [before.byteOffset, after]));
  const [received] = parseHeader(edit.header);
  const added: Line[] = received === undefined ? [] : [{ sign: "+", raw: received.raw }];
  const lines = parseHeader(header).flatMap(({ raw }): Line[] => {
    const after = changed.get(raw.byteOffset);
    if (after !== undefined)
      return [
        { sign: "-", raw },
        { sign: "~", raw: after },
      ];
    return removed.has(raw.byteOffset) ? [{ sign: "-", raw }] : [];
  });
  return [...added, ...lines];
}
