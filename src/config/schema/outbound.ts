/**
 * The schema of what applies to destinations: `outbound` of sealpost.yaml, of partner files and of exceptions, and
 * `next_hop_tls`. Nothing has a default here, since files are laid over each other before defaults apply.
 */
import * as z from "zod";
import { nearest, shown } from "../problems.ts";
import { parseNamePattern } from "../scalars.ts";
import { dkim, headers, smime } from "./treatment.ts";
import {
  digest,
  domain,
  flag,
  hopText,
  lastDay,
  mailbox,
  mapOf,
  oneOrMany,
  path,
  plainText,
  positiveDuration,
  profile,
  says,
  someOf,
  text,
  wanted,
  word,
} from "./values.ts";

const LEVELS = ["none", "may", "encrypt", "verify", "secure", "fingerprint", "authenticated", "dane-only"] as const;

/** Words of Postfix, Exchange, Exim and sendmail for the same demands, in lower case. */
const ELSEWHERE: ReadonlyMap<unknown, string> = new Map([
  ["dane", "write may with mta_sts: ignore for what Postfix calls dane, or dane-only to demand it"],
  ["half-dane", "write may with mta_sts: ignore, which is the nearest to it"],
  ["opportunistic", "write may"],
  ["mandatory", "write encrypt"],
  ["required", "write encrypt"],
  ["require", "write encrypt"],
  ["must", "write encrypt"],
  ["encryptiononly", "write encrypt"],
  ["certificatevalidation", "write verify, or secure where the name must not come from DNS"],
  ["domainvalidation", "write secure with match: [the name in the certificate]"],
]);

export const level = z.enum(LEVELS, {
  error: ({ input }) => {
    const choice = `write ${LEVELS.slice(0, -1).join(", ")} or ${LEVELS.at(-1)}`;
    if (typeof input !== "string") return wanted("a TLS level", choice)({ input });
    const near = nearest(input, LEVELS);
    const known = near === undefined ? choice : `did you mean ${near}? ${choice}`;
    return says(`${shown(input)} is not a level`, ELSEWHERE.get(input.toLowerCase()) ?? known);
  },
});

export const minVersion = word("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3");

export const keyPair = mapOf({ certificate: path, key: path, allow_group_read: flag.optional() });

/** `set:` names are looked up when the tree is built, since they may stand in another file. */
const matchEntry = text(
  "a name to match",
  "write hostname, nexthop, dot-nexthop, host.example, .example or set:NAME",
  (value) => {
    if (value === "hostname" || value === "nexthop" || value === "dot-nexthop") return value;
    return value.startsWith("set:") ? { set: value.slice(4) } : parseNamePattern(value);
  },
);

export const match = oneOrMany(matchEntry);

const pin = z.union([
  digest.transform((sha256) => ({ sha256, of: "certificate" as const, not_after: undefined })),
  mapOf({
    sha256: digest,
    of: word("certificate", "public-key").default("certificate"),
    not_after: lastDay.optional(),
  }),
]);

const commonTls = {
  level: level.optional(),
  match: match.optional(),
  ca: someOf(path, "write ca: PATH, or remove it to trust what tls.trust names").optional(),
  crl: oneOrMany(path).optional(),
  fingerprints: oneOrMany(pin).optional(),
  profile: profile.optional(),
  min_version: minVersion.optional(),
  ciphers: plainText.optional(),
  client_certificate: keyPair.optional(),
  servername: domain.optional(),
};

export const outboundTls = mapOf({
  ...commonTls,
  dane: word("honour", "ignore").optional(),
  mta_sts: word("honour", "ignore", "require").optional(),
  tls_required_no: word("ignore", "honour").optional(),
});

export const nextHopTls = z.union([level.transform((level) => ({ level })), mapOf(commonTls)]);

const hopMap = mapOf({
  to: hopText,
  implicit_tls: flag.default(false),
  auth: mapOf({
    user: plainText,
    password: plainText.optional(),
    password_file: path.optional(),
    allow_group_read: flag.optional(),
  }).optional(),
});

export const nextHop = someOf(
  z.union([hopText.transform((to) => ({ to, implicit_tls: false, auth: undefined })), hopMap]),
  'write next_hop: mx, or "[host.example]:25"',
);

const step = z.union([
  word("bounce"),
  mapOf({
    next_hop: nextHop.optional(),
    smime_encrypt: flag.optional(),
    approved_by: mailbox.optional(),
    lifetime: positiveDuration.optional(),
  }),
]);

export const mode = word("enforce", "report");
export const reportUntil = lastDay;

export const outboundShape = {
  next_hop: nextHop.optional(),
  tls: outboundTls.optional(),
  headers: headers.optional(),
  dkim: dkim.optional(),
  smime: smime.optional(),
  lifetime: positiveDuration.optional(),
  on_expiry: someOf(step, "write on_expiry: [bounce]").optional(),
  mode: mode.optional(),
  report_until: reportUntil.optional(),
};

export const outbound = mapOf(outboundShape);
export type Outbound = z.output<typeof outbound>;
export type OutboundTls = z.output<typeof outboundTls>;
export type NextHopTls = z.output<typeof nextHopTls>;
export type Hops = z.output<typeof nextHop>;
export type Steps = NonNullable<Outbound["on_expiry"]>;
export type Match = z.output<typeof match>;

export const sets = z
  .record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/), match, {
    error: wanted("a map", "write NAME: [.example, …]"),
  })
  .superRefine((value, context) => {
    for (const [name, entries] of Object.entries(value)) {
      const nested = entries.find((entry) => typeof entry === "object" && "set" in entry);
      if (nested === undefined) continue;
      context.addIssue({
        code: "custom",
        path: [name],
        message: says(`the set ${shown(name)} names another set`, "write the names out"),
      });
    }
  });
