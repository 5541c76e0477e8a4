/** docs/logging.md and the code must name the same events and fields; the types see to it that the map is whole. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type {
  DeliveryFields,
  Events,
  MxFields,
  PeerFields,
  PublishedFields,
  TlsFields,
} from "../../src/report/events.ts";
import { EVENT_NAMES } from "../../src/report/sentence.ts";

type Named<T> = Record<keyof T, true>;

const session = { session: true, listener: true, address: true, port: true } as const;
const message = { queueId: true, messageId: true, sender: true } as const;

const FIELDS: { readonly [K in keyof Events]: Named<Events[K]> } = {
  "gateway.started": { version: true, config: true, pid: true },
  "gateway.ready": { listeners: true, admin: true },
  "gateway.stopped": { reason: true },
  "config.reloaded": { generation: true, files: true },
  "config.refused": { problems: true },
  "policy.changed": { partner: true, generation: true },
  "session.refused": { ...session, code: true, reason: true },
  "auth.failed": { ...session, user: true, reason: true },
  "tls.failed": { ...session, reason: true, detail: true },
  "limit.hit": { ...session, limit: true, value: true },
  "message.accepted": {
    ...message,
    session: true,
    listener: true,
    client: true,
    fromDomain: true,
    recipients: true,
    size: true,
    partners: true,
    rules: true,
    requireTls: true,
    tlsRequiredNo: true,
    headersKept: true,
  },
  "message.refused": {
    ...session,
    stage: true,
    code: true,
    enhancedCode: true,
    reason: true,
    rules: true,
    sender: true,
    recipients: true,
    client: true,
  },
  delivery: {
    ...message,
    recipients: true,
    domain: true,
    partner: true,
    direction: true,
    attempt: true,
    outcome: true,
    route: true,
    mode: true,
    exception: true,
    rules: true,
    mx: true,
    tls: true,
    reason: true,
    wouldDefer: true,
    smtp: true,
    detail: true,
    bytes: true,
    smime: true,
    dkim: true,
    durationMs: true,
    delayMs: true,
    nextAttempt: true,
    expires: true,
    generation: true,
  } satisfies Named<DeliveryFields>,
  "mta-sts.failed": { domain: true, result: true, detail: true, cachedUntil: true },
  "message.finished": { queueId: true, outcome: true, shredded: true },
  "message.moved": { queueId: true, into: true, reason: true, approvedBy: true },
  "notice.queued": { queueId: true, about: true, kind: true, recipient: true, status: true },
  "queue.action": { action: true, matched: true, reason: true, filter: true },
  "admin.action": { action: true, address: true, who: true, why: true, detail: true },
  "key.rotated": { keyId: true, dropped: true },
  "admin.denied": { address: true, path: true, reason: true },
  "exception.started": { partner: true, approvedBy: true, reason: true, until: true },
  "exception.ended": { partner: true, approvedBy: true, reason: true },
  alarm: { code: true, partner: true, state: true, since: true, until: true, remedy: true },
  error: { kind: true, detail: true },
};

const INNER = {
  mx: { host: true, address: true, port: true, localAddress: true } satisfies Named<MxFields>,
  tls: {
    demanded: true,
    demandedBy: true,
    tlsRequiredNo: true,
    result: true,
    assurance: true,
    version: true,
    cipher: true,
    group: true,
    profile: true,
    sni: true,
    authenticatedBy: true,
    matched: true,
    published: true,
    peer: true,
    reused: true,
  } satisfies Named<TlsFields>,
  published: { mxSecure: true, dane: true, mtaSts: true } satisfies Named<PublishedFields>,
  peer: {
    subject: true,
    names: true,
    issuer: true,
    notAfter: true,
    keyType: true,
    keyBits: true,
    sha256: true,
    spkiSha256: true,
  } satisfies Named<PeerFields>,
};

const document = readFileSync(join(import.meta.dirname, "../../docs/logging.md"), "utf8");

/** Rows `| `name` | … |` of the section under this heading; the first cell's names. */
function names(heading: string): string[] {
  const [, section = ""] = document.split(`\n${heading}\n`);
  const [own = ""] = section.split(/\n#+ /);
  return own
    .split("\n")
    .filter((line) => line.startsWith("| `"))
    .flatMap((line) => [...(line.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, name]) => name ?? ""));
}

describe("docs/logging.md", () => {
  it("names every event of the map, and no other", () => {
    expect(names("## Events").toSorted()).toEqual([...EVENT_NAMES].toSorted());
  });

  it.each(Object.keys(FIELDS) as (keyof Events)[])("names every field of %s, and no other", (event) => {
    expect(names(`### ${event}`).toSorted()).toEqual(Object.keys(FIELDS[event]).toSorted());
  });

  it.each(Object.entries(INNER))("names every field of %s, and no other", (group, fields) => {
    expect(names(`#### ${group}`).toSorted()).toEqual(Object.keys(fields).toSorted());
  });
});
