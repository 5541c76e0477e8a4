/** The schema of `domains`: our own, and where mail for them goes. */
import * as z from "zod";
import { contentFilter } from "./inbound.ts";
import { nextHop, nextHopTls } from "./outbound.ts";
import { domain, duration, lastDay, later, listOf, mapOf, oneOrMany, path, plainText, someOf, word } from "./values.ts";

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

const dkim = mapOf({
  selector: plainText,
  key: path,
  not_before: lastDay.optional(),
  not_after: lastDay.optional(),
});

export const ownDomain = mapOf({
  domain: someOf(domain, "write domain: example.org"),
  next_hop: nextHop.optional(),
  next_hop_tls: nextHopTls.optional(),
  recipients: later(recipients, "write recipients: any", (value) => value === "any").optional(),
  language: word("de", "en").optional(),
  dkim: later(listOf(dkim), "write dkim: []", (value) => value.length === 0).optional(),
  smime: later(
    mapOf({ directory: path, password_file: path.optional() }).nullable(),
    "remove it",
    (value) => value === null,
  ).optional(),
  tls_only_alias: later(
    z.union([z.literal(""), domain]).nullable(),
    "remove it",
    (value) => value === null || value === "",
  ).optional(),
  content_filter: contentFilter.optional(),
});
export type OwnDomainEntry = z.output<typeof ownDomain>;
