/**
 * Are lines one OpenPGP armour and nothing else (RFC 9580 §6.2)? A machine of few states that holds no line. Its first
 * packet tells whether it encrypts; the rest of the packets is not looked into. Blank lines may stand around it.
 */
export type ArmourKind = "MESSAGE" | "SIGNATURE";

/** What content of some kind is read with, line by line without line ends; `push` is false when it is not of it. */
export interface LineReader {
  /** Undefined: a line too long to be held. */
  readonly push: (line: string | undefined) => boolean;
  readonly end: () => boolean;
}

/** Tags of first packets (RFC 9580 §5): session keys, encrypted data, marker; what only signs or compresses is not in. */
const FIRST = { MESSAGE: [1, 3, 9, 10, 18, 20], SIGNATURE: [2] } as const;
/** Comments are read by everybody. */
const MOST_HEADERS = 5;
const LONGEST_HEADER = 128;

export function armour(kind: ArmourKind): LineReader {
  let state: "before" | "headers" | "data" | "checked" | "after" = "before";
  let headers = 0;
  let isFirst = true;
  const step = (line: string): boolean => {
    if (state === "before" || state === "after") {
      if (line === "") return true;
      if (state === "after" || line !== `-----BEGIN PGP ${kind}-----`) return false;
      state = "headers";
      return true;
    }
    if (state === "headers") {
      if (line === "") state = "data";
      else headers++;
      return line === "" || (headers <= MOST_HEADERS && line.length <= LONGEST_HEADER && /^[A-Za-z]+: /.test(line));
    }
    if (line === `-----END PGP ${kind}-----`) {
      state = "after";
      return !isFirst;
    }
    if (state === "checked") return line === "";
    if (/^=[A-Za-z0-9+/]{4}$/.test(line)) {
      state = "checked";
      return true;
    }
    if (!/^[A-Za-z0-9+/]+={0,2}$/.test(line)) return line === "";
    const fits = !isFirst || (FIRST[kind] as readonly number[]).includes(packetTag(line));
    isFirst = false;
    return fits;
  };
  return { push: (line) => line !== undefined && step(line.trimEnd()), end: () => state === "after" };
}

/** Text with its signature below (RFC 9580 §7). Lines of the text that begin with hyphens are escaped. */
export function clearSigned(): LineReader {
  let started = false;
  let signature: LineReader | undefined;
  return {
    push: (line) => {
      const text = line?.trimEnd();
      if (!started) {
        started = text === "-----BEGIN PGP SIGNED MESSAGE-----";
        return started || text === "";
      }
      if (text === "-----BEGIN PGP SIGNATURE-----") signature ??= armour("SIGNATURE");
      return signature?.push(line) ?? true;
    },
    end: () => signature?.end() ?? false,
  };
}

function packetTag(line: string): number {
  const first = Buffer.from(line.slice(0, 4), "base64")[0] ?? 0;
  if (first < 0x80) return 0;
  return first >= 0xc0 ? first & 0x3f : (first & 0x3f) >> 2;
}
