/**
 * Counts events for `/metrics`, in the Prometheus text format 0.0.4. Labels take closed sets of values only: never an
 * address, a domain or a text of others, so that no peer can make the number of series grow.
 */
import type { Emit, Events } from "./events.ts";

/** What is asked at each scrape rather than counted. */
export interface Gauges {
  readonly queue: () => Promise<{
    readonly messages: number;
    readonly deliveries: Readonly<Record<string, number>>;
    /** Epoch ms. */
    readonly oldest?: number;
  }>;
  /** SMTP sessions open now: of clients with us, of ours with peers. */
  readonly sessions: () => { readonly server: number; readonly client: number };
  readonly ready: () => boolean;
  /** Epoch ms. */
  readonly now: () => number;
  readonly version: string;
}

export interface Metrics {
  /** Given every event that is logged. */
  readonly count: Emit;
  readonly text: (gauges: Gauges) => Promise<string>;
}

type Labels = Readonly<Record<string, string>>;

/** The metrics that events are counted in, with their help text. */
const COUNTERS = {
  sealpost_messages_accepted_total: "Messages answered with 250 after DATA.",
  sealpost_messages_refused_total: "Messages refused, by stage and reply code.",
  sealpost_sessions_refused_total: "Sessions refused before mail, by reply code.",
  sealpost_authentication_failures_total: "Failed logins.",
  sealpost_tls_failures_total: "Failed TLS handshakes of clients.",
  sealpost_limit_hits_total: "Limits reached, by limit.",
  sealpost_deliveries_total: "Recipients of ended attempts, by outcome and reason.",
  sealpost_delivered_tls_total: "Recipients delivered, by TLS version, result and assurance.",
  sealpost_messages_finished_total: "Messages whose last recipient has ended.",
  sealpost_notices_total: "Notices queued, by kind.",
  sealpost_admin_denied_total: "Requests to the admin listener that were denied.",
  sealpost_alarms_total: "Alarms raised, by code.",
  sealpost_errors_total: "Defects and failures of our own, by kind.",
  sealpost_reloads_total: "Reloads of the configuration, by result.",
} as const;

type Counter = keyof typeof COUNTERS;
type Add = (counter: Counter, labels?: Labels, by?: number) => void;

export function createMetrics(): Metrics {
  const series = new Map<Counter, Map<string, number>>();
  const add: Add = (counter, labels = {}, by = 1) => {
    const values = series.get(counter) ?? new Map<string, number>();
    series.set(counter, values);
    const key = formatLabels(labels);
    values.set(key, (values.get(key) ?? 0) + by);
  };
  for (const counter of ["sealpost_messages_accepted_total", "sealpost_messages_finished_total"] as const)
    add(counter, {}, 0);
  return {
    count: (event, fields) => COUNTED[event]?.(fields, add),
    text: async (gauges) => [...counterLines(series), ...(await gaugeLines(gauges))].join("\n") + "\n",
  };
}

const COUNTED: { readonly [K in keyof Events]?: (fields: Events[K], add: Add) => void } = {
  "message.accepted": (_, add) => add("sealpost_messages_accepted_total"),
  "message.refused": ({ stage, code }, add) => add("sealpost_messages_refused_total", { stage, code: String(code) }),
  "session.refused": ({ code }, add) => add("sealpost_sessions_refused_total", { code: String(code) }),
  "auth.failed": (_, add) => add("sealpost_authentication_failures_total"),
  "tls.failed": (_, add) => add("sealpost_tls_failures_total"),
  "limit.hit": ({ limit }, add) => add("sealpost_limit_hits_total", { limit }),
  delivery: ({ outcome, reason, recipients, tls }, add) => {
    add("sealpost_deliveries_total", { outcome, reason: reason ?? "" }, recipients.length);
    if (outcome !== "delivered" || tls === undefined) return;
    const labels = { version: tls.version ?? "none", result: tls.result, assurance: tls.assurance };
    add("sealpost_delivered_tls_total", labels, recipients.length);
  },
  "message.finished": (_, add) => add("sealpost_messages_finished_total"),
  "notice.queued": ({ kind }, add) => add("sealpost_notices_total", { kind }),
  "admin.denied": (_, add) => add("sealpost_admin_denied_total"),
  alarm: ({ code, state }, add) => {
    if (state === "raised") add("sealpost_alarms_total", { code });
  },
  error: ({ kind }, add) => add("sealpost_errors_total", { kind }),
  "config.reloaded": (_, add) => add("sealpost_reloads_total", { result: "done" }),
  "config.refused": (_, add) => add("sealpost_reloads_total", { result: "refused" }),
};

function* counterLines(series: ReadonlyMap<Counter, ReadonlyMap<string, number>>): Generator<string> {
  for (const [counter, values] of series) {
    yield* described(counter, "counter", COUNTERS[counter]);
    for (const [labels, value] of values) yield `${counter}${labels} ${value}`;
  }
}

async function gaugeLines(gauges: Gauges): Promise<string[]> {
  const queue = await gauges.queue();
  const sessions = gauges.sessions();
  const age = queue.oldest === undefined ? 0 : Math.max(0, gauges.now() - queue.oldest) / 1000;
  return [
    ...described("sealpost_queue_messages", "gauge", "Messages in the queue."),
    `sealpost_queue_messages ${queue.messages}`,
    ...described("sealpost_queue_deliveries", "gauge", "Deliveries in the queue, by state."),
    ...Object.entries(queue.deliveries).map(
      ([state, count]) => `sealpost_queue_deliveries${formatLabels({ state })} ${count}`,
    ),
    ...described("sealpost_queue_oldest_seconds", "gauge", "Age of the oldest message in the queue; 0 when empty."),
    `sealpost_queue_oldest_seconds ${age}`,
    ...described("sealpost_sessions", "gauge", "SMTP sessions open now."),
    `sealpost_sessions{side="server"} ${sessions.server}`,
    `sealpost_sessions{side="client"} ${sessions.client}`,
    ...described("sealpost_ready", "gauge", "1 while mail is accepted, as /readyz says."),
    `sealpost_ready ${gauges.ready() ? 1 : 0}`,
    ...described("sealpost_info", "gauge", "The version that runs."),
    `sealpost_info${formatLabels({ version: gauges.version })} 1`,
  ];
}

function described(name: string, type: "counter" | "gauge", help: string): [string, string] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function formatLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
