/** The schema of `listeners`: who may hand in mail, where, and how. */
import * as z from "zod";
import { keyPair } from "./outbound.ts";
import {
  count,
  digest,
  duration,
  flag,
  ip,
  lastDay,
  later,
  mapOf,
  network,
  oneOrMany,
  path,
  pattern,
  plainText,
  profile,
  someOf,
  text,
  word,
} from "./values.ts";

const glob = text("a pattern for senders", 'write own, any, user@example.org or "*@example.org"', (value) =>
  /^[^\s@]+@[^\s@]+$/.test(value) && value.length <= 320 ? value.toLowerCase() : undefined,
);

export const senders = z.union([
  z.enum(["own", "any"]),
  someOf(glob, 'write own, any, or patterns such as "*@example.org"'),
]);

const client = z.union([
  network.transform((network) => ({
    network,
    normalize_bare_lf: false,
    tls: undefined,
    profile: undefined,
    senders: undefined,
    until: undefined,
  })),
  mapOf({
    network,
    tls: word("offer", "require").optional(),
    profile: profile.optional(),
    senders: senders.optional(),
    normalize_bare_lf: flag.default(false),
    until: lastDay.optional(),
  }),
]);

const header = z.record(z.string().regex(/^[\x21-\x39\x3b-\x7e]+$/), plainText);

export const listener = mapOf({
  name: plainText.default("smarthost"),
  direction: later(
    word("outbound", "inbound", "both"),
    "write direction: outbound",
    (value) => value === "outbound",
  ).default("outbound"),
  address: ip.default("127.0.0.1"),
  port: count(0, 65_535).default(2525),
  tls: word("offer", "require", "implicit").default("offer"),
  profile: profile.optional(),
  certificates: oneOrMany(keyPair).optional(),
  greet_delay: duration.prefault("0s"),
  clients: oneOrMany(client).prefault([]),
  senders: senders.optional(),
  auth: mapOf({ users_file: path, allow_group_read: flag.optional() }).optional(),
  client_certificates: mapOf({
    ca: oneOrMany(path).optional(),
    crl: oneOrMany(path).optional(),
    names: oneOrMany(pattern).prefault([]),
    fingerprints: oneOrMany(digest).prefault([]),
    header: header.prefault({}),
  }).optional(),
  relays: later(oneOrMany(network), "write relays: []", (value) => value.length === 0).optional(),
  xclient: oneOrMany(network).prefault([]),
  proxy_protocol: oneOrMany(network).prefault([]),
});
export type Listener = z.output<typeof listener>;
export type Client = Listener["clients"][number];
