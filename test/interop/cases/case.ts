/**
 * What a row of the DANE table is made of: a domain with what it publishes and how its hosts behave, and for each
 * policy what must become of mail to it.
 */
import { createAuthority, type Issued, selfSigned } from "../../peers/certificates.ts";
import type { MxTls } from "../../peers/mx-server.ts";
import type { Tree } from "../rig/gateway.ts";
import type { PostfixLevel } from "../rig/postfix-verdicts.ts";
import type { HostOptions, Plan } from "../rig/world.ts";

/**
 * Delivered: by what the host was authenticated, or `trusted`, `encrypted`, `clear` where it was not.
 * Else `waits` or `fails` with the reason.
 */
export type Ending =
  | "dane-ee"
  | "dane-ta"
  | "private-ca"
  | "fingerprint"
  | "trusted"
  | "encrypted"
  | "clear"
  | `waits ${string}`
  | `fails ${string}`;

export const POLICIES = {
  may: { level: "may" },
  encrypt: { level: "encrypt" },
  "dane-only": { level: "dane-only" },
  authenticated: { level: "authenticated" },
  verify: { level: "verify" },
  secure: { level: "secure" },
  ignore: { level: "may", dane: "ignore" },
  "ignore-sts": { level: "may", mta_sts: "ignore" },
  "require-sts": { level: "encrypt", mta_sts: "require" },
} as const satisfies Record<string, Tree>;
export type PolicyName = keyof typeof POLICIES;

/** Postfix's name for the same; it has none for `authenticated`. */
export const POSTFIX_NAME: Partial<Record<PolicyName, PostfixLevel>> = {
  may: "dane",
  encrypt: "encrypt",
  "dane-only": "dane-only",
  verify: "verify",
  secure: "secure",
  ignore: "may",
};

export interface Case {
  readonly domain: string;
  readonly about: string;
  readonly endings: Partial<Record<PolicyName, Ending>>;
  /** The host that must get it, where there are several. */
  readonly through?: string;
  /** SNI of sessions that DANE is demanded of. */
  readonly sni?: string;
  /** The clause for which Postfix decides otherwise; where none is named it decides the same. */
  readonly differs?: Partial<Record<PolicyName, string>>;
  /** Mail to it goes there instead of to its MX. */
  readonly nextHop?: string;
}

export const ADDED =
  "published demands are added at this level, too; Postfix's looks up no TLSA (postconf(5), smtp_tls_security_level)";

export const NO_TLSA_ASKED =
  "a TLSA look-up that fails makes mail wait at this level, too; Postfix's does not ask (RFC 7672 §2.1.2)";

const DAY = 86_400_000;

export type Add = (domain: string, about: string, endings: Case["endings"], more?: Partial<Case>) => void;
export type Own = (domain: string, host: HostOptions, ...tlsa: readonly string[]) => void;
export type Made = ReturnType<typeof certificates>;

export function publish(plan: Plan, host: string, tlsa: readonly string[], port = 25): void {
  for (const data of tlsa) plan.record(`_${port}._tcp.${host}`, `TLSA ${data}`);
}

export const pem = ({ chain, key }: Issued): MxTls => ({ certificate: chain, key });

export function certificates() {
  const web = createAuthority("An authority everybody trusts");
  const anchor = createAuthority("An anchor out of DNS");
  const between = anchor.intermediate("Between");
  const valid = (...names: string[]) => web.issue({ names });
  const odd = selfSigned({
    names: ["nobody.invalid"],
    notBefore: new Date(Date.now() - 9 * DAY),
    notAfter: new Date(Date.now() - DAY),
  });
  const renewed = selfSigned({ names: ["renewed.invalid"] });
  /** Below the anchor, which is sent along unless told. */
  const below = (names: string[], options: { root?: boolean; expired?: boolean } = {}): MxTls => {
    const late =
      options.expired === true
        ? { notBefore: new Date(Date.now() - 9 * DAY), notAfter: new Date(Date.now() - DAY) }
        : {};
    const { chain, key } = between.issue({ names, ...late });
    return { certificate: options.root === false ? chain : chain + anchor.certificate, key };
  };
  return { web, anchor, between, valid, odd, renewed, below };
}
