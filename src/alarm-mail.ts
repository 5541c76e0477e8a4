/**
 * Alarms by mail: to the owner of the partner that one is about, else to the postmaster; at most ten an hour to each.
 * The log has them in any case. It must never fail what it tells of, nor tell of itself: its own trouble is an `error`.
 */
import { formatDomain, formatMailbox, type Mailbox, parseMailbox } from "./mail/mailbox.ts";
import { newQueueId } from "./mail/queue-id.ts";
import { alarmNotice } from "./notify/alarm-notice.ts";
import { createOwnMail, type OwnMailDeps } from "./own-mail.ts";
import type { Emit, Events } from "./report/events.ts";
import { createHourly } from "./schedule/hourly.ts";
import type { Settings } from "./config/settings.ts";
import type { QueueStore } from "./store/queue.ts";

export interface AlarmMailDeps extends OwnMailDeps {
  readonly queue: Pick<QueueStore, "openSpool" | "enqueue">;
  /** They are stored and due. */
  readonly queued: () => void;
}

export interface AlarmMail {
  /** An Emit that sends alarms by mail, too. */
  readonly emit: Emit;
  /** Resolves when those in hand are stored. */
  readonly ended: () => Promise<void>;
}

const MOST_AN_HOUR = 10;
/** Mail about them would be mail about bounces, and there can be many. */
const LOG_ONLY: ReadonlySet<string> = new Set(["undeliverable-null-sender", "undeliverable-notice"]);

export function createAlarmMail(deps: AlarmMailDeps): AlarmMail {
  const mayWrite = createHourly(deps.clock, MOST_AN_HOUR);
  const inHand = new Set<Promise<void>>();
  const tell = async (alarm: Events["alarm"]): Promise<void> => {
    if (LOG_ONLY.has(alarm.code)) return;
    const { settings } = deps.snapshot();
    const reader = readerOf(settings, alarm.partner);
    if (!settings.alarms.mail || reader === undefined || !mayWrite(formatMailbox(reader.to).toLowerCase())) return;
    try {
      await write(deps, alarm, reader);
    } catch (error) {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      deps.emit("error", { kind: "alarm-mail", detail });
    }
  };
  return {
    emit: (event, fields) => {
      deps.emit(event, fields);
      if (event !== "alarm") return;
      const told = tell(fields as Events["alarm"]);
      inHand.add(told);
      void told.finally(() => inHand.delete(told));
    },
    ended: async () => {
      await Promise.all(inHand);
    },
  };
}

interface Reader {
  readonly to: Mailbox;
  /** The partner's name. */
  readonly partner?: string;
}

function readerOf({ policy, postmaster }: Settings, partner: string | null): Reader | undefined {
  const about = policy.partners.find(({ id }) => id === partner);
  const to = parseMailbox(about?.owner ?? postmaster);
  return to && { to, ...(about && { partner: about.name }) };
}

async function write(deps: AlarmMailDeps, alarm: Events["alarm"], { to, partner }: Reader): Promise<void> {
  const { clock, random, snapshot, queue, queued, emit } = deps;
  const { hostname, noticeLanguage, policy } = snapshot().settings;
  const now = clock.now();
  const id = newQueueId(now, random);
  const spoken = policy.ownDomains.find(({ domain }) => domain === formatDomain(to.domain))?.language;
  const { code, state, remedy } = alarm;
  const notice = alarmNotice({
    id,
    hostname,
    now,
    to,
    language: noticeLanguage === "auto" ? (spoken ?? "en") : noticeLanguage,
    code,
    ...(partner !== undefined && { partner }),
    state,
    since: Date.parse(alarm.since),
    ...(alarm.until !== undefined && { until: Date.parse(alarm.until) }),
    remedy,
  });
  await queue.enqueue(await createOwnMail(deps)(notice, { id, now }));
  emit("notice.queued", { queueId: id, about: code, kind: "alarm", recipient: formatMailbox(to), status: [] });
  queued();
}
