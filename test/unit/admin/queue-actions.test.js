import { describe, expect, it } from "vitest";
import { allEntries, createQueueActions } from "../../../src/admin/queue-actions.js";
import { fakeQueue, item } from "./fake-queue.js";
const clock = {
    now: () => 7_000,
    monotonic: () => 0,
    sleep: () => Promise.resolve(),
    after: () => () => undefined,
};
function actionsOver(items) {
    const queue = fakeQueue(items);
    const events = [];
    const reopened = [];
    const emit = (event, fields) => void events.push([event, fields]);
    const dispatcher = { reopen: (domain) => void reopened.push(domain) };
    return { queue, events, reopened, actions: createQueueActions({ queue, dispatcher, emit, clock }) };
}
describe("queue actions", () => {
    it("show an entry by its envelope, without anything of the content", async () => {
        const [entry] = await actionsOver([item(1)]).actions.list({});
        expect(entry).toMatchObject({
            queueId: "00000000000000000000000000000001",
            sender: "anna@example.org",
            recipients: ["bea@acme.example"],
            received: "1970-01-01T00:00:01.000Z",
            nextAttempt: "1970-01-01T00:01:40.000Z",
            reason: "certificate-expired",
            cursor: "#1",
        });
    });
    it("list everything, however many pages that takes", async () => {
        const { actions } = actionsOver(Array.from({ length: 1_234 }, (_, number) => item(number)));
        const seen = new Set();
        for await (const { queueId } of allEntries(actions, {}))
            seen.add(queueId);
        expect(seen.size).toBe(1_234);
    });
    it("retry opens the destinations of what matched, after the mail is due", async () => {
        const { actions, reopened, queue, events } = actionsOver([item(1), item(2), item(3, { domain: "other.example" })]);
        expect(await actions.retry({ domain: "acme.example" })).toEqual({ matched: 2, busy: 0 });
        expect(queue.asked).toEqual(['retry {"domain":"acme.example"} at 7000']);
        expect(reopened).toEqual(["acme.example"]);
        expect(events).toEqual([
            ["queue.action", { action: "retry", matched: 2, reason: undefined, filter: { domain: "acme.example" } }],
        ]);
    });
    it("remove leaves out what is under way, says so, and logs the end of each message", async () => {
        const { actions, events } = actionsOver([item(1), item(2, { state: "leased" })]);
        expect(await actions.remove({}, "sent twice")).toEqual({ matched: 1, busy: 1 });
        expect(events.map(([event]) => event)).toEqual(["queue.action", "message.finished"]);
        expect(events[0]?.[1]).toMatchObject({ action: "remove", matched: 1, reason: "sent twice" });
        expect(events[1]?.[1]).toEqual({
            queueId: "00000000000000000000000000000001",
            outcome: [{ recipient: "bea@acme.example", end: "removed" }],
            shredded: true,
        });
    });
    it("work on a stopped gateway, which has no dispatcher", async () => {
        const actions = createQueueActions({ queue: fakeQueue([item(1)]), emit: () => undefined, clock });
        expect(await actions.retry({})).toEqual({ matched: 1, busy: 0 });
    });
});
