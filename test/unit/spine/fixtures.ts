/** A delivery, a session and the steps of an attempt that a test scripts host by host. */
import type { Handshake, Steps } from "../../../src/attempt.ts";
import type { Delivery, MessageFacts } from "../../../src/mail/delivery.ts";
import type { Host } from "../../../src/mail/host.ts";
import { parseMailbox } from "../../../src/mail/mailbox.ts";
import type { Outcome, PeerReply, Problem } from "../../../src/mail/outcome.ts";
import type { DaneFacts, MtaStsFacts } from "../../../src/mail/published.ts";
import type { Session } from "../../../src/mail/session.ts";
import type { TlsRequirement } from "../../../src/mail/tls-requirement.ts";

export const ok: PeerReply = { code: 250, text: "ok" };
export const delivered: Outcome = { kind: "delivered", smtp: ok };

export function host(name: string): Host {
  return { name, address: "192.0.2.1", port: 25, route: "mx", learnedFromMx: true, implicitTls: false };
}

export function session(name: string, reused = false): Session {
  const nothing = () => Promise.resolve({ recipients: new Map<number, PeerReply>() });
  return {
    host: name,
    address: "192.0.2.1",
    port: 25,
    localAddress: undefined,
    extensions: new Set(),
    reused,
    send: nothing,
    authenticate: () => Promise.resolve("accepted"),
  };
}

export const facts: MessageFacts = {
  id: "0123456789abcdef0123456789abcdef",
  envelope: {
    reversePath: parseMailbox("anna@example.org")!,
    mail: { body: "7BIT", smtpUtf8: false, requireTls: false },
    recipients: ["a@acme.example", "b@acme.example"].map((text, position) => ({
      position,
      mailbox: parseMailbox(text)!,
    })),
  },
  size: 100,
  receivedAt: 0,
  listener: "smarthost",
  client: { address: "127.0.0.1", port: 1, helo: "pc", via: "network" },
  notice: false,
  contents: [{ size: 100 }],
};

export function delivery(over: Partial<Delivery> = {}): Delivery {
  return {
    id: `${facts.id}-0`,
    message: facts,
    domain: "acme.example",
    recipients: facts.envelope.recipients,
    attempts: 0,
    content: 0,
    expiresAt: 1_000_000,
    ...over,
  };
}

export interface Script {
  readonly hosts: readonly Host[] | Problem<"deferred" | "failed">;
  readonly connect: (host: Host, handshake: Handshake) => Session | Problem<"deferred">;
  readonly refuse?: (session: Session, requirement: TlsRequirement) => Problem<"deferred"> | undefined;
  readonly dane?: (host: Host) => DaneFacts;
  readonly mtaSts?: (domain: string) => MtaStsFacts;
  readonly deliver?: (session: Session) => ReadonlyMap<number, Outcome>;
}

/** Steps as scripted, and a diary of what was called. */
export function scripted(script: Script): { steps: Steps<Session>; diary: string[] } {
  const diary: string[] = [];
  const both = new Map<number, Outcome>([
    [0, delivered],
    [1, delivered],
  ]);
  const steps: Steps<Session> = {
    resolve: () => Promise.resolve(script.hosts),
    dane: (of) => Promise.resolve(script.dane?.(of) ?? { kind: "none", why: "absent" }),
    mtaSts: (domain) => Promise.resolve(script.mtaSts?.(domain) ?? { kind: "none" }),
    connect: (to, handshake) => {
      diary.push(`connect ${to.name} ${handshake.use}${handshake.fresh ? " fresh" : ""}`);
      return Promise.resolve(script.connect(to, handshake));
    },
    admit: (open, requirement) => script.refuse?.(open, requirement) ?? { verified: open, verdict: { trusted: false } },
    deliver: (open) => {
      diary.push(`deliver ${open.host}`);
      return Promise.resolve().then(() => script.deliver?.(open) ?? both);
    },
    release: (open) => void diary.push(`release ${open.host}`),
    dismiss: (open) => void diary.push(`dismiss ${open.host}`),
  };
  return { steps, diary };
}
