/**
 * Whether a certificate was revoked, by OCSP first and by its issuer's list else (RFC 6960, RFC 5280 §6.3). What was
 * heard is kept until its own end, a day at most, and a failure for five minutes. "Nobody answered" is never "good".
 */
import type { X509Certificate } from "node:crypto";
import { sha256 } from "../mail/certificate.ts";
import type { Clock } from "../runtime/clock.ts";
import { createBoundedCache, keptUntil } from "./bounded-cache.ts";
import { findInList } from "./crl.ts";
import { createListFetch, type ListLimits } from "./crl-fetch.ts";
import { type Answer, type CertificateId, certificateId, ocspRequest, readOcspAnswer } from "./ocsp.ts";
import type { AskOutside } from "./outside-http.ts";

export interface RevocationQuestion {
  /** DER */
  readonly certificate: Buffer;
  /** Whose signature on it was verified. */
  readonly issuer: X509Certificate;
  /** It is a CA's. */
  readonly authority: boolean;
  /** Where the certificate says that it can be asked about (RFC 5280 §4.2.2.1, §4.2.1.13). */
  readonly ocsp: readonly string[];
  readonly crl: readonly string[];
}

export type RevocationAnswer =
  | { readonly kind: "good" }
  | { readonly kind: "revoked"; readonly detail: string }
  | { readonly kind: "unreachable"; readonly detail: string }
  /** The certificate names nobody who could be asked. */
  | { readonly kind: "silent" };

export interface RevocationDeps {
  readonly clock: Pick<Clock, "now" | "sleep">;
  readonly ask: AskOutside;
  readonly limits?: Partial<RevocationLimits>;
}

export interface RevocationLimits extends ListLimits {
  readonly ocspOctets: number;
}

/** Never rejects. */
export type CheckRevocation = (question: RevocationQuestion) => Promise<RevocationAnswer>;

const LIMITS: RevocationLimits = {
  timeoutMs: 5_000,
  listTimeoutMs: 60_000,
  ocspOctets: 65_536,
  listOctets: 20 * 1_048_576,
  cacheOctets: 64 * 1_048_576,
};
const FAILURE_MS = 300_000;
const MOST_ANSWERS = 10_000;
const MOST_URLS = 2;

export function createRevocation({ clock, ask, limits }: RevocationDeps): CheckRevocation {
  const within = { ...LIMITS, ...limits };
  const answers = createBoundedCache<Answer>(clock, MOST_ANSWERS);
  const askResponder = createResponders({ clock, ask, limits: within });
  const fetchList = createListFetch({ clock, ask, limits: within });

  const askEach = async (id: CertificateId, { ocsp, crl, authority }: RevocationQuestion): Promise<Answer> => {
    const said: string[] = [];
    for (const url of ocsp.slice(0, MOST_URLS)) {
      const answer = await askResponder(url, id);
      if (answer.kind !== "unusable") return answer;
      said.push(`${url} ${answer.detail}`);
    }
    for (const url of crl.slice(0, MOST_URLS)) {
      const list = await fetchList({ url, id, urls: crl, authority });
      const answer = list.kind === "list" ? await findInList(list, id.serial) : list;
      if (answer.kind !== "unusable") return answer;
      said.push(`${url} ${answer.detail}`);
    }
    return { kind: "unusable", detail: said.join("; ") };
  };

  return async (question) => {
    if (question.ocsp.length + question.crl.length === 0) return { kind: "silent" };
    const id = certificateId(question.certificate, question.issuer);
    if (id === undefined) return { kind: "unreachable", detail: "the certificate cannot be asked about" };
    const key = `${sha256(question.certificate)} ${question.issuer.fingerprint256}`;
    const known = answers.get(key);
    const answer = known ?? (await askEach(id, question));
    if (answer.kind === "unusable") return { kind: "unreachable", detail: answer.detail };
    if (known === undefined) answers.put(key, answer, keptUntil(clock.now(), answer.until));
    return answer.kind === "good" ? { kind: "good" } : { kind: "revoked", detail: answer.detail };
  };
}

type Within = Required<Omit<RevocationDeps, "limits">> & { readonly limits: RevocationLimits };

function createResponders({ clock, ask, limits }: Within): (url: string, id: CertificateId) => Promise<Answer> {
  const failures = createBoundedCache<Answer>(clock, MOST_ANSWERS);
  return async (url, id) => {
    const key = JSON.stringify([url, id.serial.toString("hex"), id.issuer.fingerprint256]);
    const failure = failures.get(key);
    if (failure !== undefined) return failure;
    const body = ocspRequest(id);
    if (body === undefined) return { kind: "unusable", detail: "cannot be asked about this issuer" };
    const contentType = "application/ocsp-request"; // RFC 6960 appendix A.1
    const got = await ask({ url, body, contentType, limit: limits.ocspOctets, timeoutMs: limits.timeoutMs });
    const answer =
      got.kind === "body" ? await readOcspAnswer(got.body, id, clock.now()) : ({ ...got, kind: "unusable" } as const);
    if (answer.kind === "unusable") failures.put(key, answer, clock.now() + FAILURE_MS);
    return answer;
  };
}
