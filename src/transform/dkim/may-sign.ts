/**
 * Whether a message may carry a signature of ours, and whose keys sign it. Pure. Who the author is, and that nobody
 * else speaks in it, says sender.ts; here is added that a key in force must be there.
 */
import { ancestry } from "../../mail/domain-name.ts";
import { isAddressLiteral } from "../../mail/mailbox.ts";
import type { Sender } from "../sender.ts";
import { keysNow } from "./key.ts";

type Dates = Parameters<typeof keysNow>[0][number];

export type MaySign<K> =
  /** `d=`, and its keys of now: at least one. */
  { readonly domain: string; readonly keys: readonly K[] } | { readonly unsigned: string };

/** `keys`: by our own domains. The nearest domain of ours signs: the author's own, or one above (RFC 7489 §3.1.1). */
export function maySign<K extends Dates>(
  sender: Sender,
  keys: ReadonlyMap<string, readonly K[]>,
  now: number,
): MaySign<K> {
  const { author } = sender;
  if (author === undefined) return { unsigned: sender.unsigned ?? "the sender is unknown" };
  const names = isAddressLiteral(author.domain) ? [] : [...ancestry(author.domain)];
  const domain = names.find((name) => keys.has(name));
  const inForce = keysNow(domain === undefined ? [] : (keys.get(domain) ?? []), now);
  if (domain === undefined || inForce.length === 0) return { unsigned: "its domain has no DKIM key in force" };
  return { domain, keys: inForce };
}
