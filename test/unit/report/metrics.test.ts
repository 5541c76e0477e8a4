import { describe, expect, it } from "vitest";
import { createMetrics, type Gauges, type Metrics } from "../../../src/report/metrics.ts";
import { deliveryFields } from "./fixtures.ts";

const gauges: Gauges = {
  queue: () =>
    Promise.resolve({ messages: 3, deliveries: { waiting: 2, leased: 1, held: 0, parked: 0 }, oldest: 1_000 }),
  sessions: () => ({ server: 4, client: 5 }),
  ready: () => true,
  now: () => 31_000,
  version: '0.1.0"\\',
};

async function samples(metrics: Metrics): Promise<string[]> {
  return (await metrics.text(gauges)).split("\n").filter((line) => !line.startsWith("#") && line !== "");
}

describe("the metrics", () => {
  it("count recipients by outcome and reason, and TLS of what was delivered", async () => {
    const metrics = createMetrics();
    metrics.count("delivery", deliveryFields({ recipients: ["a@acme.example", "b@acme.example"] }));
    metrics.count("delivery", deliveryFields({ outcome: "deferred", reason: "certificate-expired" }));
    metrics.count("delivery", deliveryFields({ outcome: "deferred", reason: "certificate-expired" }));
    const found = await samples(metrics);
    expect(found).toContain('sealpost_deliveries_total{outcome="delivered",reason=""} 2');
    expect(found).toContain('sealpost_deliveries_total{outcome="deferred",reason="certificate-expired"} 2');
    expect(found.filter((line) => line.includes("acme.example"))).toEqual([]);
  });

  it("show the queue and the sessions as they are at the scrape", async () => {
    const found = await samples(createMetrics());
    expect(found).toEqual(
      expect.arrayContaining([
        "sealpost_messages_accepted_total 0",
        "sealpost_queue_messages 3",
        'sealpost_queue_deliveries{state="waiting"} 2',
        "sealpost_queue_oldest_seconds 30",
        'sealpost_sessions{side="server"} 4',
        'sealpost_sessions{side="client"} 5',
        "sealpost_ready 1",
      ]),
    );
  });

  it("are well-formed: every series has help and type before it, once", async () => {
    const metrics = createMetrics();
    metrics.count("error", { kind: "attempt", detail: "" });
    metrics.count("error", { kind: "store", detail: "" });
    const lines = (await metrics.text(gauges)).trimEnd().split("\n");
    const typed = lines.filter((line) => line.startsWith("# TYPE")).map((line) => line.split(" ")[2]);
    expect(new Set(typed).size).toBe(typed.length);
    let current: string | undefined;
    for (const line of lines) {
      if (line.startsWith("# TYPE")) current = line.split(" ")[2];
      else if (!line.startsWith("#")) expect(line).toMatch(new RegExp(`^${current}(\\{.*\\})? [0-9.]+$`));
    }
  });

  it("escape label values", async () => {
    expect(await samples(createMetrics())).toContain('sealpost_info{version="0.1.0\\"\\\\"} 1');
  });

  it("count each alarm when it is raised and not when it is cleared", async () => {
    const metrics = createMetrics();
    const alarm = { code: "dead", partner: null, since: "", until: undefined, remedy: "" };
    metrics.count("alarm", { ...alarm, state: "raised" });
    metrics.count("alarm", { ...alarm, state: "cleared" });
    expect(await samples(metrics)).toContain('sealpost_alarms_total{code="dead"} 1');
  });
});
