import { describe, expect, it } from "vitest";
import { attempt } from "../../../src/attempt.ts";
import type { DomainName } from "../../../src/mail/domain-name.ts";
import type { Host } from "../../../src/mail/host.ts";
import { type Outcome, problem } from "../../../src/mail/outcome.ts";
import { UNTOUCHED } from "../../../src/mail/treatment.ts";
import type { DaneFacts, MtaStsFacts } from "../../../src/mail/published.ts";
import { outbound, tls } from "../decide/policies.ts";
import { delivered, delivery, facts, host, scripted, session } from "./fixtures.ts";

const refused = problem("deferred", "connection-failed", "no answer");
const untrusted = problem("deferred", "certificate-not-trusted", "its certificate is not trusted");
const garbage = problem("deferred", "validation-failure", "the handshake failed");
const lost = problem("deferred", "connection-lost", "the connection was lost");
const all = (outcome: Outcome) =>
  new Map<number, Outcome>([
    [0, outcome],
    [1, outcome],
  ]);
const first = (outcomes: ReadonlyMap<number, Outcome>) => outcomes.get(0);

describe("one attempt", () => {
  it("No MAIL FROM on a session that was not admitted", async () => {
    const { steps, diary } = scripted({
      hosts: [host("mx1"), host("mx2")],
      connect: ({ name }) => session(name),
      refuse: (open) => (open.host === "mx1" ? untrusted : undefined),
    });
    const trial = await attempt(delivery(), outbound(), steps);
    expect(diary).toEqual([
      "connect mx1 required",
      "dismiss mx1",
      "connect mx2 required",
      "deliver mx2",
      "release mx2",
    ]);
    expect(first(trial.outcomes)).toEqual(delivered);
  });
  it("tells the TLS problem, not the network one, when no host passes", async () => {
    const { steps } = scripted({
      hosts: [host("mx1"), host("mx2")],
      connect: ({ name }) => (name === "mx1" ? session(name) : refused),
      refuse: () => untrusted,
    });
    const trial = await attempt(delivery(), outbound(), steps);
    expect(first(trial.outcomes)).toEqual(untrusted);
    expect(trial.seen?.host.name).toBe("mx1");
  });
  it("waits when one next hop is unknown and another does not exist", async () => {
    const { steps } = scripted({
      hosts: problem("failed", "no-such-domain", "no such domain"),
      connect: () => refused,
    });
    const unknown = problem("deferred", "dns-failed", "no answer");
    let asked = 0;
    const either = {
      ...steps,
      resolve: () => Promise.resolve(asked++ === 0 ? unknown : problem("failed", "null-mx", "x")),
    };
    const two = outbound({
      nextHop: [
        { kind: "mx-of", domain: "a.example" },
        { kind: "mx-of", domain: "b.example" },
      ],
    });
    expect(first((await attempt(delivery(), two, either)).outcomes)).toEqual(unknown);
  });
  it("asks again on a fresh session when a kept one was dead", async () => {
    const { steps, diary } = scripted({
      hosts: [host("mx1")],
      connect: ({ name }, { fresh }) => session(name, !fresh),
      deliver: (open) => all(open.reused ? lost : delivered),
    });
    expect(first((await attempt(delivery(), outbound(), steps)).outcomes)).toEqual(delivered);
    expect(diary.filter((line) => line.startsWith("connect"))).toEqual([
      "connect mx1 required",
      "connect mx1 required fresh",
    ]);
  });
  it("does not send at once again what the peer may have [RFC 5321 §4.2.5]", async () => {
    const { steps, diary } = scripted({
      hosts: [host("mx1"), host("mx2")],
      connect: ({ name }) => session(name, true),
      deliver: () => all({ ...lost, mayBeDelivered: true }),
    });
    await attempt(delivery(), outbound(), steps);
    expect(diary.filter((line) => line.startsWith("deliver"))).toEqual(["deliver mx1"]);
  });
  it.each([
    ["may", 0, false],
    ["may", 1, true],
    ["encrypt", 1, false],
    ["secure", 1, false],
  ] as const)(
    "at level %s after %i attempts goes on in clear after a failed handshake: %s",
    async (level, attempts, clear) => {
      const { steps, diary } = scripted({
        hosts: [host("mx1")],
        connect: ({ name }, { use }) => (use === "never" ? session(name) : garbage),
      });
      await attempt(delivery({ attempts }), outbound({ tls: tls({ level }) }), steps);
      expect(diary.includes("connect mx1 never fresh")).toBe(clear);
    },
  );
  it.each([
    ["matching records", { kind: "usable", base: "mx1" as DomainName, names: [], records: [] }],
    ["records of which none can be used", { kind: "unusable", base: "mx1" as DomainName }],
  ] as const)("at level may never goes on in clear where the host publishes %s [RFC 7672 §2.2]", async (_, dane) => {
    const { steps, diary } = scripted({ hosts: [host("mx1")], dane: () => dane, connect: () => garbage });
    await attempt(delivery({ attempts: 5 }), outbound({ tls: tls({ level: "may" }) }), steps);
    expect(diary).toEqual(["connect mx1 required"]);
  });
  it("lets a message wait that was stored before S/MIME was demanded: a reload reaches what is queued", async () => {
    const { steps, diary } = scripted({ hosts: [host("mx1")], connect: ({ name }) => session(name) });
    const treatment = { ...UNTOUCHED, smime: { ...UNTOUCHED.smime, encrypt: "always" as const } };
    const trial = await attempt(delivery(), outbound({ treatment }), steps);
    expect(trial.outcomes.get(0)).toMatchObject({ kind: "deferred", reason: "treatment-required" });
    expect(diary).toEqual([]);
    const encrypted = { size: 1, smime: { signed: false, encrypted: true } };
    const message = { ...facts, contents: [encrypted] };
    expect((await attempt(delivery({ message }), outbound({ treatment }), steps)).outcomes.get(0)?.kind).toBe(
      "delivered",
    );
  });
  it("fails at once where relaying to the destination is not permitted", async () => {
    const { steps, diary } = scripted({ hosts: [host("mx1")], connect: ({ name }) => session(name) });
    const trial = await attempt(delivery(), outbound({ permitted: false }), steps);
    // The other side has refused nothing.
    expect(first(trial.outcomes)).toMatchObject({ kind: "failed", reason: "not-permitted", status: "5.7.1" });
    expect(diary).toEqual([]);
  });
  it("tries a bounded number of addresses", async () => {
    const hosts = Array.from({ length: 30 }, (_, index) => host(`mx${index}`));
    const { steps, diary } = scripted({ hosts, connect: () => refused });
    await attempt(delivery(), outbound(), steps);
    expect(diary.length).toBe(6);
  });
});

describe("what a destination publishes", () => {
  const signed = (name: string): Host => ({
    ...host(name),
    dnssec: { mx: "secure", address: "secure", expanded: name as DomainName },
  });
  const usable = (name: string): DaneFacts => ({
    kind: "usable",
    base: name as DomainName,
    names: [name],
    records: [],
  });
  const policy = (...mx: string[]): MtaStsFacts => ({
    kind: "policy",
    domain: "acme.example" as DomainName,
    id: "1",
    mode: "enforce",
    mx,
    expiresAt: 0,
  });

  it("a host whose TLSA records are not known is passed over, and the next one is tried [RFC 7672 §2.1.1]", async () => {
    const { steps, diary } = scripted({
      hosts: [signed("mx1"), signed("mx2")],
      dane: ({ name }) => (name === "mx1" ? { kind: "unknown", detail: "SERVFAIL" } : usable(name)),
      connect: ({ name }) => session(name),
    });
    const trial = await attempt(delivery(), outbound(), steps);
    expect(first(trial.outcomes)).toEqual(delivered);
    expect(diary.filter((line) => line.startsWith("connect"))).toEqual(["connect mx2 required"]);
    expect(trial.seen?.demand?.by).toEqual(["dane"]);
  });

  it("mail waits when none passes, and no host was connected to", async () => {
    const { steps, diary } = scripted({
      hosts: [signed("mx1"), signed("mx2")],
      dane: () => ({ kind: "unknown", detail: "SERVFAIL" }),
      connect: ({ name }) => session(name),
    });
    const trial = await attempt(delivery(), outbound(), steps);
    expect(first(trial.outcomes)).toMatchObject({ kind: "deferred", reason: "dnssec-invalid", status: "4.7.5" });
    expect(trial.seen).toMatchObject({ host: { name: "mx1" }, published: { dane: { kind: "unknown" } } });
    expect(diary).toEqual([]);
  });

  it("hosts outside the MTA-STS policy are skipped, however many [RFC 8461 §4.1]", async () => {
    const others = Array.from({ length: 10 }, (_, index) => signed(`other${index}`));
    const { steps, diary } = scripted({
      hosts: [...others, signed("mx1")],
      mtaSts: () => policy("mx1"),
      connect: ({ name }) => session(name),
    });
    expect(first((await attempt(delivery(), outbound(), steps)).outcomes)).toEqual(delivered);
    expect(diary[0]).toBe("connect mx1 required");
  });

  it("mail waits when every host is outside the policy", async () => {
    const { steps } = scripted({ hosts: [signed("mx1")], mtaSts: () => policy("mx2"), connect: () => refused });
    const trial = await attempt(delivery(), outbound(), steps);
    expect(first(trial.outcomes)).toMatchObject({ kind: "deferred", reason: "mx-not-in-policy" });
  });

  it("is judged host by host: one with DANE, one without [RFC 7672 §2.2]", async () => {
    const demanded: unknown[] = [];
    const { steps } = scripted({
      hosts: [signed("mx1"), signed("mx2")],
      dane: ({ name }) => (name === "mx1" ? usable(name) : { kind: "none", why: "absent" }),
      connect: ({ name }) => session(name),
      refuse: () => untrusted,
    });
    const watched: typeof steps = {
      ...steps,
      admit: (open, requirement, id) => {
        demanded.push(requirement);
        return steps.admit(open, requirement, id);
      },
    };
    await attempt(delivery(), outbound(), watched);
    expect(demanded).toMatchObject([{ checks: [{ by: "dane" }] }, { checks: [] }]);
  });

  it("decides the SNI: the TLSA base domain, over a configured name [RFC 7672 §8.1]", async () => {
    const shown: unknown[] = [];
    const { steps } = scripted({
      hosts: [signed("mx1"), signed("mx2")],
      dane: ({ name }) => (name === "mx1" ? usable("expanded.example") : { kind: "none", why: "absent" }),
      connect: (_, handshake) => {
        shown.push(handshake.policy.servername);
        return refused;
      },
    });
    await attempt(delivery(), outbound({ tls: tls({ servername: "configured.example" }) }), steps);
    expect(shown).toEqual(["expanded.example", "configured.example"]);
  });
});

describe("a message with REQUIRETLS", () => {
  const mail = { ...facts.envelope.mail, requireTls: true };
  const demanding = (reversePath = facts.envelope.reversePath) =>
    delivery({ message: { ...facts, envelope: { ...facts.envelope, reversePath, mail } } });
  const offering = (name: string) => ({ ...session(name), extensions: new Set(["REQUIRETLS"]) });

  it("goes to the host that passes the demand on, and to no other [RFC 8689 §4.2.1]", async () => {
    const { steps, diary } = scripted({
      hosts: [host("mx1"), host("mx2")],
      connect: ({ name }) => (name === "mx1" ? session(name) : offering(name)),
    });
    const trial = await attempt(demanding(), outbound(), steps);
    expect(diary.filter((line) => line.startsWith("deliver"))).toEqual(["deliver mx2"]);
    expect(first(trial.outcomes)).toEqual(delivered);
  });
  it("goes to another port of the same host, which may pass it on: it once ended for the first", async () => {
    const { steps } = scripted({
      hosts: [host("mx1"), { ...host("mx1"), port: 587 }],
      connect: ({ name, port }) => (port === 587 ? offering(name) : session(name)),
    });
    expect(first((await attempt(demanding(), outbound(), steps)).outcomes)).toEqual(delivered);
  });
  it("ends with 5.7.30 when every host is proven and none passes it on", async () => {
    const { steps, diary } = scripted({ hosts: [host("mx1"), host("mx2")], connect: ({ name }) => session(name) });
    const trial = await attempt(demanding(), outbound(), steps);
    expect(first(trial.outcomes)).toMatchObject({
      kind: "failed",
      reason: "requiretls-not-supported",
      status: "5.7.30",
    });
    expect(diary.filter((line) => line.startsWith("deliver"))).toEqual([]);
  });
  it.each([
    ["is out of reach", refused, ["mx1", "mx2"]],
    ["is out of reach", refused, ["mx2", "mx1"]],
    ["is not proven", untrusted, ["mx1", "mx2"]],
    ["is not proven", untrusted, ["mx2", "mx1"]],
  ])("waits as long as one host %s", async (_, problem, order) => {
    const { steps } = scripted({
      hosts: order.map(host),
      connect: ({ name }) => (name === "mx2" && problem === refused ? refused : session(name)),
      refuse: (open) => (open.host === "mx2" ? untrusted : undefined),
    });
    expect(first((await attempt(demanding(), outbound(), steps)).outcomes)).toEqual(problem);
  });
  it("asks for a session that names the peer, whatever the level", async () => {
    const asked: unknown[] = [];
    const { steps } = scripted({
      hosts: [host("mx1")],
      connect: ({ name }) => offering(name),
      refuse: (_, requirement) => void asked.push(requirement),
    });
    const { demanded } = await attempt(demanding(), outbound({ tls: tls({ level: "may" }) }), steps);
    expect(asked).toMatchObject([{ level: "mandatory", checks: [{ by: "pkix" }] }]);
    expect(demanded).toEqual({ level: "authenticated", by: ["message"], lifted: false });
  });
  it("without a sender goes to a proven host that does not pass it on [RFC 8689 §5]", async () => {
    const { steps } = scripted({ hosts: [host("mx1")], connect: ({ name }) => session(name) });
    expect(first((await attempt(demanding(null), outbound(), steps)).outcomes)).toEqual(delivered);
  });
});

describe("report mode", () => {
  const reporting = (level: "encrypt" | "secure" | "fingerprint" = "secure") =>
    outbound({ mode: "report", reportEndsAt: 1, tls: tls({ level }) });
  const onlyMandatory = (_: unknown, requirement: { readonly level: string }) =>
    requirement.level === "mandatory" ? untrusted : undefined;

  it("delivers as level may would, and tells why the policy would have let it wait", async () => {
    const { steps, diary } = scripted({
      hosts: [host("mx1")],
      connect: ({ name }) => session(name),
      refuse: onlyMandatory,
    });
    const trial = await attempt(delivery(), reporting(), steps);
    expect(diary).toEqual(["connect mx1 if-offered", "deliver mx1", "release mx1"]);
    expect([first(trial.outcomes), trial.seen?.wouldDefer]).toEqual([delivered, "certificate-not-trusted"]);
  });
  it("tells nothing when the policy is met", async () => {
    const { steps } = scripted({ hosts: [host("mx1")], connect: ({ name }) => session(name) });
    expect((await attempt(delivery(), reporting(), steps)).seen).not.toHaveProperty("wouldDefer");
  });
  it("goes in clear after a failed handshake at a retry, and tells of the handshake", async () => {
    const { steps, diary } = scripted({
      hosts: [host("mx1")],
      connect: ({ name }, { use }) => (use === "never" ? session(name) : garbage),
    });
    const trial = await attempt(delivery({ attempts: 1 }), reporting("encrypt"), steps);
    expect(diary).toEqual(["connect mx1 if-offered", "connect mx1 never fresh", "deliver mx1", "release mx1"]);
    expect(trial.seen?.wouldDefer).toBe("validation-failure");
  });
  it.each(["encrypt", "secure", "fingerprint"] as const)(
    "of level %s still demands what the domain publishes",
    async (level) => {
      const records = [{ usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32) }];
      const { steps } = scripted({
        hosts: [host("mx1")],
        connect: ({ name }) => session(name),
        dane: () => ({ kind: "usable", base: "mx1" as DomainName, names: ["mx1"], records }),
        refuse: onlyMandatory,
      });
      expect(first((await attempt(delivery(), reporting(level), steps)).outcomes)).toEqual(untrusted);
    },
  );
  it("lets through what meets the whole policy, though the message's own demand could not be met otherwise", async () => {
    const message = { ...facts, demands: { alias: true } } as const;
    const { steps } = scripted({
      hosts: [host("mx1")],
      connect: ({ name }) => session(name),
      refuse: (_, needs) =>
        needs.level === "mandatory" && needs.checks.some(({ by }) => by === "pkix") ? untrusted : undefined,
    });
    const trial = await attempt(delivery({ message }), reporting("fingerprint"), steps);
    expect([first(trial.outcomes), trial.seen?.wouldDefer]).toEqual([delivered, undefined]);
  });
  it("still demands what the message itself does", async () => {
    const message = { ...facts, demands: { alias: true } } as const;
    const { steps } = scripted({
      hosts: [host("mx1")],
      connect: ({ name }) => session(name),
      refuse: onlyMandatory,
    });
    expect(first((await attempt(delivery({ message }), reporting(), steps)).outcomes)).toEqual(untrusted);
  });
});
