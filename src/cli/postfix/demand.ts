/** What a line of a policy table comes to here: the keys of `outbound.tls`, and how far it is what Postfix did. */
import type { TlsLevel, TlsVersion } from "../../mail/tls-requirement.ts";
import type { Key } from "./key.ts";

/** `outbound.tls` as it will be written. */
export interface TlsKeys {
  readonly level?: TlsLevel;
  readonly dane?: "honour";
  readonly match?: readonly string[];
  /** Absolute paths. */
  readonly ca?: readonly string[];
  readonly fingerprints?: readonly { readonly sha256: string; readonly of: "certificate" | "public-key" }[];
  readonly min_version?: TlsVersion;
  readonly ciphers?: string;
  readonly servername?: string;
}

/** What one word of the line brings. */
export interface Part {
  readonly tls?: TlsKeys;
  /** What has no equal, or another one here; sentences without their full stop. */
  readonly notes?: readonly string[];
  /** More is demanded than Postfix did. */
  readonly stricter?: true;
  /** Why it cannot be said here at all: mail waits until a person has said it. */
  readonly closed?: string;
  /** What an exception would say for mail to go as it did. */
  readonly exception?: TlsKeys;
}

export interface Demand {
  /** closed: nothing leaves until a person has completed the file. */
  readonly verdict: "same" | "stricter" | "closed";
  readonly tls: TlsKeys;
  readonly notes: readonly string[];
  readonly exception?: TlsKeys;
}

/** What holds where a partner file says nothing. */
export interface Standard {
  readonly level: TlsLevel;
  readonly minVersion: TlsVersion;
  readonly profile: string;
  readonly ciphers: string;
}

export interface Asked {
  readonly key: Key;
  readonly standard: Standard;
  /** Of a path in the table: relative ones are beside it. */
  readonly absolute: (path: string) => string;
  /** There, and readable by us. */
  readonly isFile: (path: string) => boolean;
}

/** No certificate has it: a session that must show it is closed, and its mail waits. */
const NOBODY = { sha256: "0".repeat(64), of: "certificate" } as const;

export function closed(why: string, notes: readonly string[] = []): Demand {
  return { verdict: "closed", tls: { level: "fingerprint", fingerprints: [NOBODY] }, notes: [why, ...notes] };
}

/** Lists of several parts add up; nothing weaker than any part comes out. */
export function demandOf(parts: readonly Part[]): Demand {
  const notes = parts.flatMap((part) => part.notes ?? []);
  const why = parts.flatMap((part) => part.closed ?? []);
  if (why.length > 0) return closed(why.join("; "), notes);
  const exceptions = parts.flatMap(({ exception }) => exception ?? []);
  return {
    verdict: parts.some(({ stricter }) => stricter === true) ? "stricter" : "same",
    tls: Object.assign({}, ...parts.map(({ tls }) => tls)) as TlsKeys,
    notes,
    ...(exceptions.length > 0 && { exception: Object.assign({}, ...exceptions) as TlsKeys }),
  };
}
