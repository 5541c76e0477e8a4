/**
 * Every mailbox of the From fields (RFC 5322 §3.6.2), for sender rules. What cannot be read with certainty is
 * undefined and permits nothing: a reader that is more generous than we are must not see a sender we did not judge.
 */
import { fieldValues } from "../mail/header-field.ts";
import { type Mailbox, parseMailbox } from "../mail/mailbox.ts";

/** Empty when there is no From field. */
export function fromMailboxes(header: Buffer): readonly Mailbox[] | undefined {
  const all: Mailbox[] = [];
  for (const value of fieldValues(header, "From").concat(fieldValues(header, "From "))) {
    const mailboxes = readMailboxList(value);
    if (mailboxes === undefined) return undefined;
    all.push(...mailboxes);
  }
  return all;
}

function readMailboxList(value: string): Mailbox[] | undefined {
  const parts = splitList(value);
  if (parts === undefined) return undefined;
  const mailboxes = parts.map((part) => parseMailbox(part));
  const known = mailboxes.filter((mailbox) => mailbox !== undefined);
  return known.length === mailboxes.length ? known : undefined;
}

/** Address specifications of a list; comments, display names and groups' names dropped. One pass. */
function splitList(value: string): string[] | undefined {
  const found: string[] = [];
  let bare = "";
  let angle: string | undefined;
  let wasAngle = false;
  let depth = 0;
  let quoted = false;
  const finish = (): boolean => {
    const text = wasAngle ? (angle ?? "") : bare;
    const empty = !wasAngle && bare.trim() === "";
    if (!empty) found.push(text.trim());
    [bare, angle, wasAngle] = ["", undefined, false];
    return !empty;
  };
  let inAngle = false;
  for (let at = 0; at < value.length; at++) {
    const character = value[at] ?? "";
    const escaped = character === "\\" && (quoted || depth > 0);
    const text = escaped ? value.slice(at, ++at + 1) : character;
    if (depth > 0) {
      if (text === "(") depth++;
      else if (text === ")") depth--;
      continue;
    }
    if (text === '"') quoted = !quoted;
    if (!quoted && text === "(") depth++;
    else if (!quoted && text === "<") {
      if (wasAngle) return undefined;
      [inAngle, wasAngle, angle] = [true, true, ""];
    } else if (!quoted && text === ">" && inAngle) inAngle = false;
    else if (inAngle) angle += text;
    else if (!quoted && text === ",") finish();
    else if (!quoted && text === ":" && !wasAngle) bare = "";
    else if (!quoted && text === ";") finish();
    else bare += text;
  }
  if (quoted || depth > 0 || inAngle) return undefined;
  finish();
  return found.length === 0 ? undefined : found;
}
