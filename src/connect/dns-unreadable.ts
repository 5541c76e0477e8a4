/**
 * dns-packet reads the data of a record by its type and does not look where the record ends, so one that is too short
 * shifts all that follow it. Here such TLSA records, and all types that nobody here reads, are given a private type
 * before it sees them: those it skips by their length. Reads any bytes; changes no record that is well formed and read.
 */

/** What dns-packet calls a TLSA record without certificate association data (RFC 6698 §2.1). */
export const MALFORMED_TLSA = "UNKNOWN_65281";

/** RFC 6895 §3.1: private use. */
const UNREAD_TYPE = 65280;
const MALFORMED_TLSA_TYPE = 65281;

const TLSA = 52;
/** A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, OPT, TLSA. */
const READ: ReadonlySet<number> = new Set([1, 2, 5, 6, 12, 15, 16, 28, 41, TLSA]);

/** A copy where something was hidden; the same bytes where nothing was, or where they are no DNS message. */
export function hideUnreadable(bytes: Buffer): Buffer {
  const hidden = Buffer.from(bytes);
  if (bytes.length < 12) return bytes;
  const count = (at: number): number => bytes.readUInt16BE(at);
  let at: number | undefined = 12;
  for (let left = count(4); left > 0 && at !== undefined; left -= 1) at = after(bytes, at, 4);
  for (let left = count(6) + count(8) + count(10); left > 0 && at !== undefined; left -= 1) {
    const head = after(bytes, at, 10);
    if (head === undefined) return bytes;
    const [type, length] = [count(head - 10), count(head - 2)];
    if (!READ.has(type)) hidden.writeUInt16BE(UNREAD_TYPE, head - 10);
    if (type === TLSA && length < 4) hidden.writeUInt16BE(MALFORMED_TLSA_TYPE, head - 10);
    at = head + length <= bytes.length ? head + length : undefined;
  }
  return at === undefined ? bytes : hidden;
}

/** The offset behind the name at `at` and `more` bytes; undefined when the message ends before. */
function after(bytes: Buffer, at: number, more: number): number | undefined {
  for (let next = at; next < bytes.length; ) {
    const length = bytes.readUInt8(next);
    const pointer = length >= 0xc0;
    next += pointer ? 2 : 1 + length;
    if (pointer || length === 0) return next + more <= bytes.length ? next + more : undefined;
  }
  return undefined;
}
