/**
 * What Postfix's own client makes of a domain at each of its levels: whether mail went out, and what it says of the
 * channel. One instance with a transport for each level; the sender's address chooses it.
 */
import { asMx, startPostfix } from "./postfix.ts";
import { eventually } from "./processes.ts";
import type { Workbench } from "./workbench.ts";
import type { World } from "./world.ts";

export const POSTFIX_LEVELS = ["may", "encrypt", "dane", "dane-only", "verify", "secure"] as const;
export type PostfixLevel = (typeof POSTFIX_LEVELS)[number];

export interface PostfixVerdict {
  readonly status: "sent" | "deferred" | "bounced";
  /** "Verified", "Trusted", "Untrusted" or "Anonymous" of the last session; absent in clear. */
  readonly channel: string | undefined;
  /** Address of the host that decided; absent where there was none. */
  readonly address: string | undefined;
  readonly text: string;
}

export interface PostfixQuestion {
  readonly level: PostfixLevel;
  readonly domain: string;
}

/** `ca` is a file; answers in the order of the questions. */
export async function postfixVerdicts(
  bench: Workbench,
  { namespace }: World,
  wish: { readonly ca: string; readonly questions: readonly PostfixQuestion[] },
): Promise<PostfixVerdict[]> {
  const postfix = await startPostfix(bench, {
    name: "client",
    address: "127.0.0.30",
    port: 2530,
    enter: namespace.enter,
    services: POSTFIX_LEVELS.map((level) => `${level} unix - - n - 20 smtp -o smtp_tls_security_level=${level}\n`),
    parameters: {
      ...asMx([]),
      myhostname: "postfix.own.test",
      inet_protocols: "all",
      smtpd_relay_restrictions: "permit_mynetworks,reject",
      sender_dependent_default_transport_maps: `inline:{${POSTFIX_LEVELS.map((level) => `${level}@own.test=${level}:`).join(",")}}`,
      smtp_dns_support_level: "dnssec",
      smtp_host_lookup: "dns",
      smtp_tls_CAfile: wish.ca,
      smtp_tls_connection_reuse: "no",
      smtp_connection_cache_on_demand: "no",
      smtp_starttls_timeout: "3s",
      minimal_backoff_time: "1h",
      maximal_backoff_time: "1h",
      queue_run_delay: "1h",
    },
  });
  const mails = wish.questions.map(({ level, domain }) => ({ from: `${level}@own.test`, to: `${level}@${domain}` }));
  const codes = await namespace.call("submit", 2530, mails, "127.0.0.30");
  if (codes.some((code) => code !== 250)) throw new Error(`Postfix refused: ${codes.join(" ")}\n${postfix.log()}`);
  const verdicts = await eventually(
    "Postfix's verdicts",
    () => {
      const found = readVerdicts(postfix.log());
      const ours = mails.map(({ to }) => found.get(to));
      return ours.every((verdict) => verdict !== undefined) && ours;
    },
    { within: 60_000, every: 200, seen: postfix.log },
  );
  await postfix.stop();
  return verdicts;
}

/** By recipient. A client process serves one message at a time, so its lines before a verdict belong to it. */
function readVerdicts(log: string): Map<string, PostfixVerdict> {
  const verdicts = new Map<string, PostfixVerdict>();
  const channels = new Map<string, string>();
  for (const line of log.split("\n")) {
    const pid = /postfix\/\S*smtp\[(\d+)\]/.exec(line)?.[1];
    if (pid === undefined) continue;
    const channel = /: (\w+) TLS connection established to /.exec(line)?.[1];
    if (channel !== undefined) channels.set(pid, channel);
    const end = /: to=<([^>]*)>,.* status=(sent|deferred|bounced) (.*)/.exec(line);
    if (end === null) continue;
    const [, to = "", status, text = ""] = end;
    const address = /, relay=\S+\[([^\]]+)\]:\d+,/.exec(line)?.[1];
    verdicts.set(to, { status: status as PostfixVerdict["status"], channel: channels.get(pid), address, text });
    channels.delete(pid);
  }
  return verdicts;
}
