/**
 * In whose name a message leaves: whether it is ours at all, and whether our keys may sign it. Pure. A message whose
 * author or envelope sender is another's never gets a signature of ours (forwarded mail that claims to be from us).
 */
import { fieldMailboxes } from "../mail/from-field.ts";
import { fieldValues } from "../mail/header-field.ts";
import { formatDomain, type Mailbox } from "../mail/mailbox.ts";

export interface Sender {
  /** The header speaks for one of our domains: its internal fields are ours to remove. */
  readonly isOurs: boolean;
  /** The one author, where our keys may sign in that name. */
  readonly author?: Mailbox;
  /** Why they may not. */
  readonly unsigned?: string;
}

/** `domains`: our own, A-labels. */
export function senderOf(header: Buffer, reversePath: Mailbox | null, domains: ReadonlySet<string>): Sender {
  const from = fieldMailboxes(header, "From");
  const isOwn = ({ domain }: Mailbox): boolean => isOurDomain(formatDomain(domain), domains);
  // Where nobody can say who the author is, the envelope does. It does not of a bounce: anybody's may pass through here.
  if (from === undefined || from.length === 0)
    return { isOurs: reversePath !== null && isOwn(reversePath), unsigned: "the From field is missing or unreadable" };
  const isOurs = from.some(isOwn);
  const [author] = from;
  if (author === undefined || !isOurs) return { isOurs, unsigned: "the From address is not in one of our domains" };
  if (fieldValues(header, "From").length !== 1) return { isOurs, unsigned: "there is more than one From field" };
  if (from.some(({ domain }) => formatDomain(domain) !== formatDomain(author.domain)))
    return { isOurs, unsigned: "the From field names several domains" };
  if (reversePath !== null && !isOwn(reversePath))
    return { isOurs, unsigned: "the envelope sender is not in one of our domains" };
  return { isOurs, author };
}

/** One of `domains`, or a name below one. */
function isOurDomain(domain: string, domains: ReadonlySet<string>): boolean {
  for (let name = domain; name !== ""; name = name.slice(name.indexOf(".") + 1)) {
    if (domains.has(name)) return true;
    if (!name.includes(".")) return false;
  }
  return false;
}
