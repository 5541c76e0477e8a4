/** The schema of `domains`: our own, and where mail for them goes. */
import * as z from "zod";
import { contentFilter } from "./inbound.ts";
import { shown } from "../problems.ts";
import { nextHop, nextHopTls } from "./outbound.ts";
import {
  domain,
  duration,
  firstDay,
  flag,
  lastDay,
  later,
  mapOf,
  oneOrMany,
  path,
  plainText,
  someOf,
  text,
  word,
} from "./values.ts";

const recipients = z.union([
  word("any", "callout"),
  mapOf({ file: path }),
  mapOf({
    ldap: mapOf({
      url: plainText,
      base: plainText,
      filter: plainText.optional(),
      bind_dn: plainText.optional(),
      password_file: path.optional(),
      ca: oneOrMany(path).optional(),
      cache: duration.optional(),
    }),
  }),
]);

/** RFC 6376 §3.1: labels as host names have them; the record's name goes on with ._domainkey. */
const selector = text("a selector", "write a label such as s2026r", (value) => {
  const [before] = value.split("._domainkey");
  if (before !== undefined && before !== value) {
    return { message: `${shown(value)} is the name of a record`, remedy: `write its beginning alone: ${before}` };
  }
  const name = value.toLowerCase();
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/.test(name)
    ? name
    : undefined;
});

const dkim = mapOf({
  selector,
  key: path,
  not_before: firstDay.optional(),
  not_after: lastDay.optional(),
  allow_group_read: flag.optional(),
});
export type DkimEntry = z.output<typeof dkim>;

const smime = mapOf({
  directory: path,
  password_file: path.optional(),
  allow_group_read: flag.optional(),
});
export type SignerEntry = z.output<typeof smime>;

export const ownDomain = mapOf({
  domain: someOf(domain, "write domain: example.org"),
  next_hop: nextHop.optional(),
  next_hop_tls: nextHopTls.optional(),
  recipients: later(recipients, "write recipients: any", (value) => value === "any").optional(),
  language: word("de", "en").optional(),
  dkim: oneOrMany(dkim).optional(),
  smime: smime.nullable().optional(),
  tls_only_alias: z
    .union([z.literal(""), domain])
    .nullable()
    .optional(),
  content_filter: contentFilter.optional(),
});
export type OwnDomainEntry = z.output<typeof ownDomain>;
