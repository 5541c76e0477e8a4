/**
 * Opens a session to one host and shows it to the other rooms as a plain Session: what it offers, what the handshake
 * showed. Whether it may carry mail is not decided here. Never rejects: what went wrong is a value.
 */
import { isIP } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Host } from "../mail/host.ts";
import { problem, type Problem } from "../mail/outcome.ts";
import type { PeerEvidence } from "../mail/peer-evidence.ts";
import type { LoginResult, OnLine, Session } from "../mail/session.ts";
import type { Clock } from "../runtime/clock.ts";
import { Exchange } from "./exchange.ts";
import { openingProblem } from "./opening-problem.ts";
import { parseReply } from "./peer-reply.ts";
import type { PreparedContext, SecureContexts, TlsParameters } from "./secure-contexts.ts";
import type { DeliverySettings } from "./settings.ts";
import { SmtpClient } from "./smtp-session.ts";
import { connectTcp } from "./tcp.ts";

/** How a session is opened; whether it may carry mail is decided afterwards. */
export interface Opening {
  readonly use: "never" | "if-offered" | "required";
  readonly policy: TlsParameters;
  /** Told every line of the dialogue; a session that is watched must carry no mail. */
  readonly onLine?: OnLine;
}

export interface OpenerDeps {
  readonly clock: Clock;
  /** Read anew for each session, so that a reload counts. */
  readonly settings: () => DeliverySettings;
  readonly contexts: SecureContexts;
  /** verify/evidence.ts */
  readonly readEvidence: (socket: TLSSocket, anchors: PreparedContext["anchors"]) => PeerEvidence;
  /** Aborts when the gateway ends: open sessions are cut. */
  readonly stopping: AbortSignal;
}

/** An open connection, whoever uses it at the moment. */
export interface Connection {
  /** As one delivery sees it. */
  readonly lend: () => Session;
  /** Deliveries it was lent to. */
  readonly lent: () => number;
  readonly alive: () => boolean;
  /** QUIT, in the background. */
  readonly quit: () => void;
  readonly cut: () => void;
  /** Called once when the connection has ended, for whatever reason. */
  readonly onEnd: (run: () => void) => void;
}

export async function openConnection(
  host: Host,
  { use, policy, onLine }: Opening,
  deps: OpenerDeps,
): Promise<Connection | Problem<"deferred">> {
  const settings = deps.settings();
  const prepared = prepare(deps, policy);
  if ("kind" in prepared) return prepared;
  const socket = await connectTcp(host, settings, deps.clock, deps.stopping);
  if ("kind" in socket) return socket;
  const { address, port, localAddress } = { ...host, localAddress: socket.localAddress };
  let evidence: PeerEvidence | undefined;
  const servername = policy.servername ?? (isIP(host.name) === 0 ? host.name : undefined);
  const client = new SmtpClient({
    socket,
    host: host.name,
    port,
    name: settings.hostname,
    use,
    implicitTls: host.implicitTls,
    prepared,
    ...(servername !== undefined && { servername }),
    commandTimeoutMs: settings.commandTimeoutMs,
    dataTimeoutMs: settings.dataTimeoutMs,
    clock: deps.clock,
    ...(onLine && { onLine }),
    onSecured: (secured) => {
      evidence = deps.readEvidence(secured, prepared.anchors);
    },
  });
  const onStop = (): void => client.cut();
  deps.stopping.addEventListener("abort", onStop, { once: true });
  client.once("end", () => deps.stopping.removeEventListener("abort", onStop));
  if (deps.stopping.aborted) onStop();
  const broke = await client.open();
  if (broke !== undefined) return openingProblem(host.name, broke);
  return connection(client, { host: host.name, address, port, localAddress, ...(evidence && { evidence }) });
}

function prepare(deps: OpenerDeps, policy: TlsParameters): PreparedContext | Problem<"deferred"> {
  try {
    return deps.contexts.prepare(policy);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return problem("deferred", "internal-error", `The TLS settings of this gateway cannot be used: ${why}`);
  }
}

type Facts = Pick<Session, "host" | "address" | "port" | "localAddress" | "evidence">;

function connection(client: SmtpClient, facts: Facts): Connection {
  let lent = 0;
  let login: Promise<LoginResult> | undefined;
  const lend = (): Session => ({
    ...facts,
    extensions: client.extensions,
    ...(client.maxSize !== undefined && { maxSize: client.maxSize }),
    reused: lent++ > 0,
    send: async (transaction) => {
      const exchange = new Exchange(transaction, client.extensions);
      await client.exchange(exchange);
      return exchange.result(howItEnded(facts.host, client));
    },
    authenticate: (user, password) => (login ??= logIn(client, facts.host, { user, password })),
  });
  return {
    lend,
    lent: () => lent,
    alive: () => client.alive(),
    quit: () => client.quit(),
    cut: () => client.cut(),
    onEnd: (run) => void client.once("end", run),
  };
}

async function logIn(
  client: SmtpClient,
  host: string,
  { user, password }: { user: string; password: string },
): Promise<LoginResult> {
  const raw = await client.authenticate(user, password);
  if (raw === undefined) return "accepted";
  const smtp = parseReply(raw);
  if (smtp !== undefined) return { refused: `${host} does not accept our credentials`, smtp };
  return { refused: `${host} offers no way to log in that this gateway knows, or ended the session` };
}

function howItEnded(host: string, client: SmtpClient): string {
  const cause = client.broke?.cause;
  if (cause === "timeout") return `${host} did not answer in time`;
  if (cause === "reply-too-long" || cause === "reply-malformed") return `${host} sent an answer that is none`;
  return `${host} ended the session before its answer was due`;
}
