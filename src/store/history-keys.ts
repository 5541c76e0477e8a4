/**
 * Keys of the history, derived from its secret (RFC 5869): one for tags, and one for each day's entries, since a key
 * with random nonces is good for 2^32 of them (NIST SP 800-38D §8.3).
 */
import { createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import { mailboxKey, parseMailbox } from "../mail/mailbox.ts";
import { tagOf } from "./seal.ts";

export interface HistoryKeys {
  /** `at`: of the entry, epoch ms. */
  readonly sealing: (at: number) => KeyObject;
  /** Of an address in any case, quoted or not; or of a Message-ID. */
  readonly tag: (found: string) => Buffer;
  /** They are kept for a while beside what they are of. */
  readonly forgetTags: () => void;
}

const DAY_MS = 86_400_000;
const MOST_DAYS = 64;
/** Most messages are told of in several entries within a second. */
const MOST_TAGS = 2_000;

export function createHistoryKeys(secret: KeyObject): HistoryKeys {
  const derive = (label: string): KeyObject =>
    createSecretKey(new Uint8Array(hkdfSync("sha256", secret, new Uint8Array(0), `sealpost history ${label}`, 32)));
  const tagging = derive("tags");
  const days = new Map<number, KeyObject>();
  const tags = new Map<string, Buffer>();
  return {
    sealing: (at) => {
      const day = Math.floor(at / DAY_MS);
      const known = days.get(day);
      if (known !== undefined) return known;
      if (days.size >= MOST_DAYS) days.clear();
      const key = derive(`day ${day}`);
      days.set(day, key);
      return key;
    },
    tag: (found) => {
      const known = tags.get(found);
      if (known !== undefined) return known;
      if (tags.size >= MOST_TAGS) tags.clear();
      const tag = tagOf(tagging, "found", normalized(found));
      tags.set(found, tag);
      return tag;
    },
    forgetTags: () => tags.clear(),
  };
}

function normalized(found: string): string {
  const mailbox = found.startsWith('"') ? parseMailbox(found) : undefined;
  return mailbox === undefined ? found.toLowerCase() : mailboxKey(mailbox);
}
