/**
 * A process of its own with a real queue, for a test that kills it: mail that is refused at its first attempt, and mail
 * that is owed a delay notice. Prints one JSON value per line. usage: MODE FOLDER NAME
 * work: takes mail in and ends it without end. end: finishes what is left, then tells what the queue holds.
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import { decisions } from "../../../src/decide/decide.ts";
import { formatMailbox, formatReversePath } from "../../../src/mail/mailbox.ts";
import { type Outcome, problem } from "../../../src/mail/outcome.ts";
import type { Session } from "../../../src/mail/session.ts";
import { createNotices } from "../../../src/notices.ts";
import { createRelay } from "../../../src/relay.ts";
import { createRemind } from "../../../src/reminders.ts";
import { systemClock } from "../../../src/runtime/clock.ts";
import { systemRandom } from "../../../src/runtime/random.ts";
import type { Snapshot } from "../../../src/snapshot.ts";
import type { QueueItem } from "../../../src/store/queue.ts";
import { createSqliteQueue } from "../../../src/store/sqlite-queue.ts";
import { put } from "../../contract/messages.ts";
import { policy } from "../../unit/decide/policies.ts";
import { host, scripted, session } from "../../unit/spine/fixtures.ts";

const [, , mode, folder = "", name = ""] = process.argv;
const say = (value: unknown): void => void writeSync(1, `${JSON.stringify(value)}\n`);
const clock = systemClock;
const random = systemRandom;
const HOUR = 3_600_000;
const LONG = 100 * HOUR;

const queue = await createSqliteQueue({
  settings: {
    dataDir: join(folder, "data"),
    keyFile: join(folder, "certs/queue.key"),
    allowGroupRead: false,
    reserve: 0,
  },
  clock,
  random,
});
const rules = policy();
const decide = decisions(rules);
const settings = { hostname: "relay.own.test", postmaster: "postmaster@own.test", noticeLanguage: "en", policy: rules };
const snapshot = (): Snapshot => ({ settings, decide }) as unknown as Snapshot;
const emit = (event: string, fields: unknown): void => {
  if (event === "error" || event === "alarm") say({ event, fields });
};
const notices = createNotices({ clock, random, queue, snapshot, emit });
const refused: Outcome = problem("failed", "smtp-5xx", "Nobody here", { code: 550, text: "Nobody here" });
const { steps } = scripted({
  hosts: [host("mx.partner.test")],
  connect: (to) => session(to.name),
  deliver: () => new Map([[0, refused]]),
});
const relay = createRelay<Session>({
  clock,
  random,
  steps,
  queue,
  policy: () => ({ outbound: decide, rules: [], schedule: { retryMs: [HOUR] }, generation: 1 }),
  delayNoticesMs: () => [1],
  notices: notices.ended,
  encrypt: () => Promise.resolve({ unknown: [] }),
  reportAttempt: () => undefined,
  completed: () => undefined,
  emit,
  stopping: new AbortController().signal,
});
const remind = createRemind({
  clock,
  queue,
  delayNoticesMs: () => [1],
  delayed: notices.delayed,
  queued: () => undefined,
});

/** What is due now; answers how many that were. */
async function finish(): Promise<number> {
  const due = await queue.claim("partner.test", clock.now(), 20);
  const owed = await queue.claimNotices(clock.now(), 20);
  await Promise.all([...due.map((delivery) => relay(delivery)), ...owed.map(remind)]);
  return due.length + owed.length;
}

let made = 0;
async function takeIn(): Promise<void> {
  const sender = `${name}-${(made += 1)}@own.test`;
  const isRefused = made % 2 === 0;
  const now = clock.now();
  const times = isRefused ? { at: now } : { at: now + LONG, noticeAt: now };
  const recipients = [isRefused ? "nobody@partner.test" : "late@slow.test"];
  await put(queue, { sender, recipients, receivedAt: now - HOUR, expiresAt: now + 2 * LONG, ...times });
  say({ stored: sender, kind: isRefused ? "failure" : "delay" });
}

async function whole(): Promise<readonly QueueItem[]> {
  const items: QueueItem[] = [];
  for (let page = await queue.list({ limit: 500 }); page.length > 0; ) {
    items.push(...page);
    page = await queue.list({ limit: 500, after: page.at(-1)?.cursor ?? page.at(-1)?.delivery.id ?? "" });
  }
  return items;
}

if (mode === "work") {
  const client = async (): Promise<never> => {
    for (;;) {
      await Promise.all([takeIn(), takeIn()]);
      await finish();
      say({ turn: made });
    }
  };
  await Promise.all([client(), client(), client()]);
}
while ((await finish()) > 0);
for (const { delivery } of await whole()) {
  const { message, recipients } = delivery;
  if (message.notice) {
    const header = (await queue.header(message.id, delivery.content)).toString();
    const kind = /^Subject: Delayed:/m.test(header) ? "delay" : "failure";
    for (const { mailbox } of recipients) say({ notice: message.id, to: formatMailbox(mailbox), kind });
  } else say({ waits: formatReversePath(message.envelope.reversePath), told: delivery.course?.delayNotices ?? 0 });
}
await queue.close();
