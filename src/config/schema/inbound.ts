/** The schema of `inbound`, for sealpost.yaml, partner files and exceptions. All of it comes later: only "off" is taken. */
import * as z from "zod";
import { minVersion } from "./outbound.ts";
import { digest, flag, lastDay, later, mapOf, oneOrMany, path, pattern, plainText, word } from "./values.ts";

const never = () => false;

const check = later(word("off", "check", "enforce", "require"), "write off", (value) => value === "off").optional();

export const contentFilter = mapOf({
  url: later(z.string(), 'write url: ""', (value) => value === "").optional(),
  milter: later(z.string(), 'write milter: ""', (value) => value === "").optional(),
  send: later(word("full", "headers", "off"), "write send: off", (value) => value === "off").optional(),
  on_error: later(word("wait"), "remove it", never).optional(),
});

const inboundTls = mapOf({
  require: later(flag, "write require: false", (value) => !value).optional(),
  require_from: later(flag, "write require_from: false", (value) => !value).optional(),
  min_version: later(minVersion, "remove it", never).optional(),
  client_certificate: later(
    mapOf({
      ca: oneOrMany(path).optional(),
      crl: oneOrMany(path).optional(),
      names: oneOrMany(pattern).optional(),
      fingerprints: oneOrMany(digest).optional(),
    }),
    "remove it",
    never,
  ).optional(),
});

const smime = mapOf({
  verify: later(word("mark", "require", "off"), 'write verify: "off"', (value) => value === "off").optional(),
  subject_tag: later(z.string(), 'write subject_tag: ""', (value) => value === "").optional(),
  decrypt: later(word("on", "off"), 'write decrypt: "off"', (value) => value === "off").optional(),
  harvest: later(word("off", "review", "auto"), "write harvest: off", (value) => value === "off").optional(),
});

export const inbound = mapOf({
  tls: inboundTls.optional(),
  authentication: mapOf({ spf: check, dkim: check, dmarc: check, arc: check }).optional(),
  smime: smime.optional(),
  content_filter: contentFilter.optional(),
  dnsbl: later(oneOrMany(plainText), "write dnsbl: []", (value) => value.length === 0).optional(),
  mode: later(word("enforce", "report"), "write mode: enforce", (value) => value === "enforce").optional(),
  report_until: later(lastDay, "remove it; report mode of incoming mail is not there either", never).optional(),
});
