/**
 * Every mailbox of the From fields (RFC 5322 §3.6.2), for sender rules. What cannot be read with certainty is
 * undefined and permits nothing: a reader that is more generous than we are must not see a sender we did not judge.
 */
import { fieldValues } from "./header-field.ts";
import { type Mailbox, parseMailbox } from "./mailbox.ts";

/** Empty when there is no From field. */
export function fromMailboxes(header: Buffer): readonly Mailbox[] | undefined {
  return fieldMailboxes(header, "From");
}

/** The same of any field of addresses. */
export function fieldMailboxes(header: Buffer, name: string): readonly Mailbox[] | undefined {
  const all: Mailbox[] = [];
  for (const value of fieldValues(header, name)) {
    const mailboxes = readList(value);
    if (mailboxes === undefined) return undefined;
    all.push(...mailboxes);
  }
  return all;
}

function readList(value: string): Mailbox[] | undefined {
  const tokens = tokenize(value);
  if (tokens === undefined) return undefined;
  const mailboxes: Mailbox[] = [];
  let address = { text: "", angle: undefined as string | undefined };
  for (const token of [...tokens, ","]) {
    if (token === ":")
      address = { text: "", angle: undefined }; // the name of a group
    else if (token !== "," && token !== ";") {
      const isAngle = token.startsWith("<");
      if (address.angle !== undefined && (isAngle || token.trim() !== "")) return undefined;
      if (isAngle) address.angle = token.slice(1, -1).trim();
      else address.text += token;
    } else {
      const text = address.angle ?? address.text.trim();
      const mailbox = parseMailbox(text);
      if (mailbox !== undefined) mailboxes.push(mailbox);
      else if (text !== "" || address.angle !== undefined) return undefined;
      address = { text: "", angle: undefined };
    }
  }
  return mailboxes.length === 0 ? undefined : mailboxes;
}

/** `,` `;` `:` alone, `<…>` whole, and the text between; comments are dropped. Undefined when something stays open. */
function tokenize(value: string): string[] | undefined {
  const tokens: string[] = [];
  let text = "";
  for (let at = 0; at < value.length; ) {
    const character = value[at] ?? "";
    const end = '"(<'.includes(character) ? closing(value, at) : at + 1;
    if (end === undefined) return undefined;
    const whole = value.slice(at, end);
    if (",;:<".includes(character)) {
      tokens.push(text, whole);
      text = "";
    } else if (character !== "(") text += whole;
    at = end;
  }
  return [...tokens, text].filter((token) => token !== "");
}

/** Position behind the quoted string, comment (they nest) or angle address that opens at `from`. */
function closing(value: string, from: number): number | undefined {
  const open = value[from];
  let depth = 0;
  let quoted = false;
  for (let at = from; at < value.length; at++) {
    const character = value[at];
    if (character === "\\" && (quoted || open === "(")) at++;
    else if (character === '"' && open !== "(") {
      quoted = !quoted;
      if (open === '"' && !quoted) return at + 1;
    } else if (!quoted && open === "(" && character === "(") depth++;
    else if (!quoted && open === "(" && character === ")" && --depth === 0) return at + 1;
    else if (!quoted && open === "<" && at > from && character === "<") return undefined;
    else if (!quoted && open === "<" && character === ">") return at + 1;
  }
  return undefined;
}
