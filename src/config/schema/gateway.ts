/** The schema of sealpost.yaml, the single source of what it may hold; the JSON Schema for editors is made from it. */
import * as z from "zod";
import { inbound } from "./inbound.ts";
import { listener } from "./listeners.ts";
import { keyPair, mode, outboundShape, reportUntil, sets } from "./outbound.ts";
import { ownDomain } from "./own-domains.ts";
import { exceptionShape } from "./partner.ts";
import { rule } from "./rules.ts";
import { smime, trust } from "./smime.ts";
import {
  count,
  domain,
  duration,
  flag,
  ip,
  later,
  listOf,
  mailbox,
  mapOf,
  oneOrMany,
  path,
  pattern,
  plainText,
  positiveDuration,
  positiveSize,
  profile,
  resolver,
  size,
  someOf,
  wanted,
  word,
} from "./values.ts";

const nothing = (value: unknown) => value === null;

const limits = mapOf({
  message_size: positiveSize.prefault("50MiB"),
  recipients: count(1, 100_000).default(1000),
  connections: count(1, 100_000).default(1000),
  connections_per_client: count(1, 100_000).default(100),
  messages_per_minute_per_client: count(0, 1_000_000).default(0),
  received_headers: count(1, 1000).default(50),
  idle_timeout: positiveDuration.prefault("5m"),
  command_timeout: positiveDuration.prefault("5m"),
  data_timeout: positiveDuration.prefault("10m"),
});

const postgres = mapOf({ url: plainText, password_file: path.optional(), ca: oneOrMany(path).optional() });

const queue = mapOf({
  store: later(z.union([word("sqlite"), postgres]), "write store: sqlite", (value) => value === "sqlite").optional(),
  key_file: path.prefault("../certs/queue.key"),
  allow_group_read: flag.optional(),
  retry: someOf(positiveDuration, "write retry: [1m, 5m, 15m, 30m, 1h]").prefault(["1m", "5m", "15m", "30m", "1h"]),
  lifetime: positiveDuration.prefault("5d"),
  bounce_lifetime: positiveDuration.prefault("2d"),
  delay_notices: oneOrMany(positiveDuration).prefault(["4h", "24h"]),
  notice_language: word("auto", "de", "en").default("auto"),
  concurrency_per_destination: count(1, 1000).default(5),
  rate_per_destination: count(0, 1_000_000).default(0),
  messages_per_connection: count(1, 100_000).default(100),
  idle_connection: duration.prefault("5s"),
  memory: later(size, "write memory: 256MiB", (value) => value === 268_435_456).optional(),
  reserve: size.prefault("1GiB"),
});

const delivery = mapOf({
  port: count(1, 65_535).default(25),
  source_address: oneOrMany(ip).prefault([]),
  ip_versions: someOf(
    z.literal([4, 6], { error: wanted("an IP version", "write 4 or 6") }),
    "write ip_versions: [4, 6]",
  ).prefault([4, 6]),
  connect_timeout: positiveDuration.prefault("30s"),
  command_timeout: positiveDuration.prefault("5m"),
  data_timeout: positiveDuration.prefault("10m"),
});

const logTarget = z.union([
  word("stdout"),
  mapOf({ file: path }),
  later(mapOf({ syslog: z.unknown() }), "write to: stdout", () => false),
]);

const alarms = mapOf({
  waiting: duration.prefault("1h"),
  certificate_days: oneOrMany(count(1, 3650)).prefault([30, 14, 7, 1]),
  mail: flag.default(true),
  webhook: later(
    z.union([plainText, z.record(z.string(), z.unknown())]).nullable(),
    "write webhook: null",
    nothing,
  ).optional(),
});

const admin = mapOf({
  address: ip.default("127.0.0.1"),
  port: count(0, 65_535).default(8025),
  tls: later(keyPair.nullable(), "write tls: null", nothing).optional(),
  token_file: path.prefault("../data/admin.token"),
  content_access: flag.default(false),
});

export const gateway = mapOf({
  hostname: domain.prefault("relay.example.org"),
  postmaster: mailbox.prefault("postmaster@example.org"),
  data_dir: path.prefault("../data"),
  workers: later(
    z.union([word("auto"), count(1, 256)]),
    "write workers: auto",
    (value) => value === "auto" || value === 1,
  ).optional(),
  allow_group_read: flag.default(false),
  tls: mapOf({
    certificates: oneOrMany(keyPair).prefault([]),
    profile: profile.prefault("intermediate"),
    trust: trust.prefault("system"),
  }).prefault({}),
  dns: mapOf({
    resolvers: oneOrMany(resolver).prefault([]),
    trust_ad: word("auto", "always", "never").prefault("auto"),
    timeout: positiveDuration.prefault("5s"),
  }).prefault({}),
  listeners: listOf(listener).prefault([]),
  domains: listOf(ownDomain).prefault([]),
  limits: limits.prefault({}),
  queue: queue.prefault({}),
  delivery: delivery.prefault({}),
  outbound: mapOf({ unlisted: word("relay", "refuse").optional(), ...outboundShape }).prefault({}),
  inbound: inbound.optional(),
  mode: mode.optional(),
  report_until: reportUntil.optional(),
  match_sets: sets.prefault({}),
  smime: smime.prefault({}),
  exceptions: listOf(mapOf({ ...exceptionShape, domains: someOf(pattern, "write the domains it is for") })).prefault(
    [],
  ),
  rules: listOf(rule).prefault([]),
  history: mapOf({ keep: duration.prefault("30d") }).prefault({}),
  log: mapOf({
    level: word("debug", "info", "warn", "error").default("info"),
    addresses: word("full", "domain", "hash").default("full"),
    to: logTarget.prefault("stdout"),
  }).prefault({}),
  alarms: alarms.prefault({}),
  admin: admin.prefault({}),
});
export type Gateway = z.output<typeof gateway>;
