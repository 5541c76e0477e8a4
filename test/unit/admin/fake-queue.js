/** A queue of items that a test lists, whose retry and remove note what they were asked. */
import { parseMailbox } from "../../../src/mail/mailbox.js";
import { facts } from "../spine/fixtures.js";
export function item(number, over = {}) {
    const { domain = "acme.example", ...rest } = over;
    const id = number.toString(16).padStart(32, "0");
    return {
        delivery: {
            id: `${id}-0`,
            message: { ...facts, id, receivedAt: number * 1_000 },
            domain,
            recipients: [{ position: 0, mailbox: parseMailbox(`bea@${domain}`) }],
            attempts: 2,
            expiresAt: 500_000_000,
        },
        state: "waiting",
        partner: null,
        nextAttemptAt: 100_000,
        reason: "certificate-expired",
        detail: "the certificate has expired",
        cursor: `#${number}`,
        ...rest,
    };
}
/** Knows the filters id and domain. */
export function fakeQueue(items) {
    const asked = [];
    const matches = (filter) => queue.items.filter(({ delivery }) => {
        if (filter.domain !== undefined && filter.domain !== delivery.domain)
            return false;
        return filter.id === undefined || [delivery.id, delivery.message.id].includes(filter.id);
    });
    const queue = {
        items,
        asked,
        list: (filter) => {
            const found = matches(filter);
            const from = filter.after === undefined ? 0 : found.findIndex(({ cursor }) => cursor === filter.after) + 1;
            return Promise.resolve(found.slice(from, from + (filter.limit ?? 100)));
        },
        retry: (filter, now) => {
            asked.push(`retry ${JSON.stringify(filter)} at ${now}`);
            return Promise.resolve(matches(filter).filter(({ state }) => state === "waiting").length);
        },
        remove: (filter) => {
            asked.push(`remove ${JSON.stringify(filter)}`);
            const gone = matches(filter).filter(({ state }) => state !== "leased");
            queue.items = queue.items.filter((left) => !gone.includes(left));
            const finished = gone.map(({ delivery }) => ({
                id: delivery.message.id,
                recipients: [{ address: `bea@${delivery.domain}`, end: "removed" }],
            }));
            return Promise.resolve(finished);
        },
        stats: () => Promise.resolve({
            messages: queue.items.length,
            deliveries: { waiting: queue.items.length, leased: 0, held: 0, parked: 0 },
        }),
    };
    return queue;
}
