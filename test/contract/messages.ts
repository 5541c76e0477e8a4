/** Messages for tests of the store, put together in one line. */
import { randomBytes } from "node:crypto";
import type { MessageFacts } from "../../src/mail/delivery.ts";
import { formatDomain, type Mailbox, parseMailbox } from "../../src/mail/mailbox.ts";
import type { Reason } from "../../src/mail/outcome.ts";
import type { NewMessage, QueueStore, SealedBody } from "../../src/store/queue.ts";

export const NOW = 1_790_000_000_000;

export interface Wanted {
  readonly id?: string;
  readonly sender?: string;
  readonly recipients?: readonly string[];
  readonly subject?: string;
  readonly body?: Buffer;
  readonly messageId?: string;
  readonly state?: "leased" | "waiting";
  readonly at?: number;
  readonly receivedAt?: number;
  readonly partner?: string;
  readonly expiresAt?: number;
  readonly noticeAt?: number;
  readonly reason?: Reason;
  readonly lane?: string;
}

export function newId(): string {
  return randomBytes(16).toString("hex");
}

export function mailbox(text: string): Mailbox {
  const parsed = parseMailbox(text);
  if (parsed === undefined) throw new TypeError(text);
  return parsed;
}

export async function spoolBody(
  queue: QueueStore,
  id: string,
  body: Buffer,
  chunk = 16_384,
  part = 0,
): Promise<SealedBody> {
  const spool = queue.openSpool(id, part);
  for (let at = 0; at < body.length; at += chunk) await spool.write(body.subarray(at, at + chunk));
  return spool.end();
}

/** Seals the body; one delivery per recipient domain, `<id>-0`, `<id>-1` …. */
export async function prepare(queue: QueueStore, wanted: Wanted = {}): Promise<NewMessage> {
  const id = wanted.id ?? newId();
  const body = wanted.body ?? Buffer.from("Hello.\r\n");
  const header = Buffer.from(`Subject: ${wanted.subject ?? "hello"}\r\n\r\n`);
  const addresses = (wanted.recipients ?? ["erin@partner.test"]).map(mailbox);
  const receivedAt = wanted.receivedAt ?? NOW;
  const sender = wanted.sender ?? "alice@inside.test";
  const facts: MessageFacts = {
    id,
    envelope: {
      reversePath: sender === "" ? null : mailbox(sender),
      mail: { body: "8BITMIME", smtpUtf8: false, requireTls: false },
      recipients: addresses.map((address, position) => ({ position, mailbox: address })),
    },
    size: header.length + body.length,
    receivedAt,
    listener: "smtp",
    client: { address: "192.0.2.7", port: 40_000, helo: "client.inside.test", via: "network" },
    ...(wanted.messageId !== undefined && { messageId: wanted.messageId }),
    notice: false,
    contents: [{ size: header.length + body.length }],
  };
  const domains = [...new Set(addresses.map(({ domain }) => formatDomain(domain)))];
  const deliveries = domains.map((domain, index) => ({
    id: `${id}-${index}`,
    domain,
    partner: wanted.partner ?? null,
    positions: addresses.flatMap((address, at) => (formatDomain(address.domain) === domain ? [at] : [])),
    content: 0,
    state: wanted.state ?? ("waiting" as const),
    nextAttemptAt: wanted.at ?? receivedAt,
    expiresAt: wanted.expiresAt ?? receivedAt + 86_400_000,
    ...(wanted.noticeAt !== undefined && { noticeAt: wanted.noticeAt }),
    ...(wanted.reason !== undefined && { reason: wanted.reason }),
    ...(wanted.lane !== undefined && { lane: wanted.lane }),
  }));
  return { facts, contents: [{ header, body: await spoolBody(queue, id, body) }], deliveries };
}

/** Several contents: recipient n, `rN@dN.test`, gets content n with a header of its own and body `of[n]` of `bodies`. */
export async function prepareSeveral(
  queue: QueueStore,
  bodies: readonly Buffer[],
  of: readonly number[],
  wanted: Wanted = {},
): Promise<NewMessage> {
  const id = wanted.id ?? newId();
  const recipients = of.map((_, at) => `r${at}@d${at}.test`);
  const base = await prepare(queue, { ...wanted, id, recipients, body: bodies[0] ?? Buffer.alloc(0) });
  const sealed: (SealedBody | undefined)[] = [base.contents[0]?.body];
  for (const [part, body] of bodies.entries())
    if (part > 0) sealed.push(await spoolBody(queue, id, body, 16_384, part));
  const contents = of.map((part, at) => {
    const body = sealed[part];
    if (body === undefined) throw new TypeError("There is no such body");
    return { header: Buffer.from(`Subject: ${wanted.subject ?? "content"} ${at}\r\n\r\n`), body };
  });
  const treated = contents.map(({ header, body }, at) => ({ size: header.length + body.length, positions: [at] }));
  const deliveries = base.deliveries.map((delivery, content) => ({ ...delivery, content }));
  return { facts: { ...base.facts, contents: treated }, contents, deliveries };
}

export async function putSeveral(
  queue: QueueStore,
  bodies: readonly Buffer[],
  of: readonly number[],
  wanted: Wanted = {},
): Promise<NewMessage> {
  const message = await prepareSeveral(queue, bodies, of, wanted);
  await queue.enqueue(message);
  return message;
}

export async function put(queue: QueueStore, wanted: Wanted = {}): Promise<NewMessage> {
  const message = await prepare(queue, wanted);
  await queue.enqueue(message);
  return message;
}

export async function bodyOf(queue: QueueStore, id: string, content = 0): Promise<Buffer> {
  return wholeOf(await queue.body(id, content));
}

export async function wholeOf(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Polls until it holds; fails after `ms`. */
export async function eventually(holds: () => boolean | Promise<boolean>, ms = 15_000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error("It did not come true in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
