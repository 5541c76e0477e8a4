/**
 * Asks a proven policy host for its policy (RFC 8461 §3.3) and judges the answer. Follows no redirect, keeps no cookie,
 * uses no HTTP cache, takes no body that is compressed, cut off or too long. The one place where exceptions of HTTP end.
 */
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import type { TLSSocket } from "node:tls";
import type { DomainName } from "../mail/domain-name.ts";
import type { StsPolicy } from "../mail/sts-policy.ts";
import { MOST_POLICY_OCTETS, readPolicy } from "./mta-sts-policy.ts";

/** Names of RFC 8460 §4.3.2.2. */
export type StsFetchResult = "sts-policy-fetch-error" | "sts-policy-invalid" | "sts-webpki-invalid";

export type Fetched =
  | { readonly kind: "policy"; readonly policy: StsPolicy }
  | { readonly kind: "unavailable"; readonly result: StsFetchResult; readonly detail: string }
  /** The gateway stops: nothing was found out. */
  | { readonly kind: "stopped" };

export type Unavailable = Extract<Fetched, { readonly kind: "unavailable" }>;

const PATH = "/.well-known/mta-sts.txt";
/** Of the response: more is no policy host. */
const MOST_HEADER_OCTETS = 16 * 1024;

/** Over a connection of its own, used once. */
export function getPolicy(socket: TLSSocket, host: DomainName, ending: AbortSignal): Promise<Fetched> {
  return new Promise((resolve) => {
    const finish = (found: Fetched): void => {
      ending.removeEventListener("abort", onAbort);
      asking.destroy();
      socket.destroy();
      resolve(found);
    };
    const onAbort = (): void => finish(failed(`${host} was given up`));
    const asking = request({
      createConnection: () => socket,
      host,
      path: PATH,
      headers: {
        host,
        accept: "text/plain",
        "accept-encoding": "identity",
        "user-agent": "sealpost",
        connection: "close",
      },
      maxHeaderSize: MOST_HEADER_OCTETS,
      setDefaultHeaders: false,
    });
    asking.on("error", (error: NodeJS.ErrnoException) =>
      finish(failed(`${host} gave no HTTP answer: ${error.code ?? error.name}`)),
    );
    asking.on("close", () => finish(failed(`${host} gave no whole HTTP answer`)));
    asking.on("response", (response) => {
      const refused = headProblem(response);
      if (refused === undefined) readBody(response, host, finish);
      else finish(failed(`${host} ${refused}`));
    });
    ending.addEventListener("abort", onAbort, { once: true });
    if (ending.aborted) onAbort();
    else asking.end();
  });
}

/** What is wrong with an answer before its body. */
function headProblem({ statusCode = 0, headers }: IncomingMessage): string | undefined {
  if (statusCode >= 300 && statusCode < 400) return `redirects (${statusCode}), which must not be followed`;
  if (statusCode !== 200) return `answered ${statusCode}`;
  // RFC 8461 §3.2: guards against hosts where strangers can put files; parameters do not matter.
  const type = headers["content-type"]?.split(";")[0]?.trim().toLowerCase();
  if (type === undefined) return "serves its policy without a content type, not as text/plain";
  if (type !== "text/plain") return `serves its policy as ${type.slice(0, 100)}, not as text/plain`;
  if ((headers["content-encoding"] ?? "identity").toLowerCase() !== "identity") return "compresses its policy unasked";
  const length = headers["content-length"];
  // RFC 9112 §8: without a length a body that was cut off looks like a whole one.
  if (length === undefined && headers["transfer-encoding"] === undefined) return "does not say how long its policy is";
  return Number(length ?? 0) > MOST_POLICY_OCTETS ? `sends more than ${MOST_POLICY_OCTETS} octets` : undefined;
}

function readBody(response: IncomingMessage, host: string, finish: (found: Fetched) => void): void {
  const chunks: Buffer[] = [];
  let length = 0;
  response.on("data", (chunk: Buffer) => {
    length += chunk.length;
    if (length > MOST_POLICY_OCTETS) finish(failed(`${host} sends more than ${MOST_POLICY_OCTETS} octets`));
    else chunks.push(chunk);
  });
  response.on("error", () => finish(failed(`${host} hung up within its policy`)));
  response.on("end", () => {
    if (!response.complete) return finish(failed(`${host} hung up within its policy`));
    const read = readPolicy(Buffer.concat(chunks));
    if (read.ok) return finish({ kind: "policy", policy: read.policy });
    finish({
      kind: "unavailable",
      result: "sts-policy-invalid",
      detail: `The policy of ${host} is invalid: ${read.detail}`,
    });
  });
}

export function failed(detail: string): Unavailable {
  return { kind: "unavailable", result: "sts-policy-fetch-error", detail };
}

export function untrusted(detail: string): Unavailable {
  return { kind: "unavailable", result: "sts-webpki-invalid", detail };
}
