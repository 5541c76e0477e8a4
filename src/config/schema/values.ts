/**
 * Building stones of the schema: each single value with its written form, what to write instead, and a description
 * for editors. A zod issue has one text only, so message and remedy travel in it as two lines; `says` writes them.
 */
import { isIP } from "node:net";
import * as z from "zod";
import { parseDomainName } from "../../mail/domain-name.ts";
import { parseNextHop, parseResolver } from "../next-hop.ts";
import { type Flaw, nearest, shown } from "../problems.ts";
import {
  DAY_MS,
  networkBase,
  parseAddress,
  parseDigest,
  parseDuration,
  parseLastDay,
  parseNamePattern,
  parseNetwork,
  parseSize,
} from "../scalars.ts";
import { TLS_PROFILE_NAMES, tlsProfile } from "../tls-profiles.ts";

/** Message and remedy as the text of one issue. */
export function says(message: string, remedy: string): string {
  return `${message}\n${remedy}`;
}

type RawIssue = { readonly input?: unknown };

/** For values of the wrong kind: what stands there, and what should. */
export function wanted(what: string, remedy: string): (issue: RawIssue) => string {
  return ({ input }) => {
    if (input === undefined) return says("is missing", remedy);
    if (input === null) return says(`nothing is written here; ${what} is expected`, `${remedy}, or remove the key`);
    return says(`${what} is expected, not ${kindOf(input)}`, remedy);
  };
}

function kindOf(input: unknown): string {
  if (Array.isArray(input)) return "a list";
  if (typeof input === "object") return "a map";
  return shown(input);
}

/** A text with a form of its own. `parse` returns undefined, or its own flaw, for what is not of that form. */
export function text<T>(what: string, remedy: string, parse: (text: string) => T) {
  return z
    .string({ error: ({ input }) => wanted(what, isBare(input) ? `${remedy}; put it in quotes` : remedy)({ input }) })
    .transform((value, context): Exclude<NonNullable<T>, Flaw> => {
      const parsed = parse(value);
      if (parsed !== undefined && !isFlaw(parsed)) return parsed as Exclude<NonNullable<T>, Flaw>;
      const flaw = isFlaw(parsed) ? parsed : { message: `${shown(value)} is not ${what}`, remedy };
      context.addIssue({ code: "custom", message: says(flaw.message, flaw.remedy) });
      return z.NEVER;
    })
    .meta({ description: `${what}; ${remedy}` });
}

/** What YAML takes for a number or for true and false unless it is in quotes. */
function isBare(input: unknown): boolean {
  return typeof input === "number" || typeof input === "boolean";
}

function isFlaw(value: unknown): value is Flaw {
  return typeof value === "object" && value !== null && "remedy" in value && "message" in value;
}

/** One of a few words. */
export function word<const T extends readonly [string, ...string[]]>(...words: T) {
  return z.enum(words, {
    error: ({ input }) => {
      const near = typeof input === "string" ? nearest(input, words) : undefined;
      const choice = `write ${words.join(", ").replace(/, ([^,]*)$/, " or $1")}`;
      const remedy = near === undefined ? choice : `did you mean ${near}? ${choice}`;
      return wanted("one of its words", remedy)({ input });
    },
  });
}

/** A whole number within bounds. */
export function count(least: number, most: number) {
  const error = wanted("a whole number", `write a number from ${least} to ${most}`);
  return z.int({ error }).min(least, { error }).max(most, { error });
}

export const flag = z.boolean({ error: wanted("true or false", "write true or false") });

/** A single value may stand for a list. */
export function oneOrMany<T extends z.ZodType>(one: T) {
  return z.union([one, z.array(one)]).transform((value) => (Array.isArray(value) ? value : [value]) as z.output<T>[]);
}

/** The same where an empty list would mean nothing, or that nothing is ever good enough. */
export function someOf<T extends z.ZodType>(one: T, remedy: string) {
  return oneOrMany(one).refine((value) => value.length > 0, { error: says("an empty list", remedy) });
}

export function listOf<T extends z.ZodType>(one: T) {
  return z.array(one, { error: wanted("a list", "begin each entry with a dash") });
}

/** A map whose keys are all known. For an unknown key the text of the issue is the list of the known ones. */
export function mapOf<T extends z.core.$ZodLooseShape>(shape: T) {
  const known = Object.keys(shape);
  const choice = `write some of: ${known.join(", ")}`;
  const expected = ({ input }: RawIssue) => wanted("a map", spaced(input) ?? choice)({ input });
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? known.join("\n") : expected(issue)),
  });
}

/** `level:secure`: what to write where the space behind the colon is missing. */
export function spaced(text: unknown): string | undefined {
  const [, key, value] = (typeof text === "string" && /^([A-Za-z_]\w*):(\S.*)$/.exec(text)) || [];
  return key === undefined || value === undefined ? undefined : `write ${key}: ${value}, with a space behind the colon`;
}

/** What a later version brings: its whole form is known, but only the value that means "off" is taken. */
export function later<T extends z.ZodType>(schema: T, off: string, isOff: (value: z.output<T>) => boolean) {
  return schema.refine(isOff, { error: says("not available yet", off) });
}

export const path = text("a path", "write a path, relative to this file", (value) =>
  value.trim() === "" || value.includes("\0") ? undefined : value,
);
export const plainText = text("a text", "write a text", (value) =>
  value.trim() === "" || /[\x00-\x1f\x7f]/.test(value) ? undefined : value,
);
export const duration = text("a duration", "write a number and its unit: 30s, 5m, 4h, 5d, 2y", parseDuration);
export const positiveDuration = text(
  "a duration above zero",
  "write a number and its unit: 30s, 5m, 4h, 5d",
  (value) => {
    const parsed = parseDuration(value);
    return parsed === 0 ? undefined : parsed;
  },
);
export const size = text("a size", "write a number and its unit: 50MiB", parseSize);
export const positiveSize = text("a size above zero", "write a number and its unit: 50MiB", (value) => {
  const parsed = parseSize(value);
  return parsed === 0 ? undefined : parsed;
});
export const lastDay = text("a date", "write the last day as YYYY-MM-DD", parseLastDay);
/** Epoch ms of the first instant of that day, UTC. */
export const firstDay = text("a date", "write the first day as YYYY-MM-DD", (value) => {
  const end = parseLastDay(value);
  return end === undefined ? undefined : end - DAY_MS;
});
export const digest = text("a SHA-256 digest", "write 64 hex digits in quotes, colons optional", parseDigest);
export const domain = text("a domain name", "write a name such as example.org", parseDomainName);
export const pattern = text(
  "a domain name",
  'write example.org, or .example.org or "*.example.org" for every name below',
  (value) =>
    value.includes("@")
      ? { message: `${shown(value)} is an address, not a domain name`, remedy: "write the domain alone" }
      : parseNamePattern(value),
);
export const mailbox = text("a mail address", "write user@example.org", parseAddress);
export const resolver = text(
  "a resolver",
  'write 127.0.0.1, 10.0.0.1:5353, or "tls://9.9.9.9#dns.quad9.net"',
  parseResolver,
);
export const hopText = text("a next hop", 'write mx, "[host.example]:25", a domain, or domain:port', parseNextHop);
export const ip = text("an IP address", "write 127.0.0.1 or ::1, without brackets", (value) =>
  isIP(value) === 0 || value.includes("%") ? undefined : value,
);

export const network = text("a network", "write 10.0.0.0/8, 2001:db8::/32 or one address", (value) => {
  const parsed = parseNetwork(value);
  if (parsed === undefined) return undefined;
  const base = networkBase(parsed);
  return base === parsed.address
    ? parsed
    : {
        message: `${shown(value)} has bits set behind its prefix`,
        remedy: `write ${base}/${parsed.prefix}, or ${parsed.address} for one address`,
      };
});

export const profile = text("a TLS profile", `write one of: ${TLS_PROFILE_NAMES.join(", ")}`, (value) => {
  const found = tlsProfile(value);
  if (found !== undefined) return found;
  const near = nearest(value, TLS_PROFILE_NAMES);
  const names = `write one of: ${TLS_PROFILE_NAMES.join(", ")}`;
  return {
    message: `there is no TLS profile ${shown(value)}`,
    remedy: near === undefined ? names : `did you mean ${near}? ${names}`,
  };
});
