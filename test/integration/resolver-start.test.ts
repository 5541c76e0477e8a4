import { afterEach, describe, expect, it } from "vitest";
import { startDnsServer } from "../peers/dns-server.ts";
import { createSite, type Site, type Tree } from "../peers/gateway.ts";

const open: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close();
});

async function site(dns: Tree): Promise<Site> {
  const made = await createSite({ dns: { timeout: "300ms", ...dns } });
  open.push(made.close);
  return made;
}
const daneOnly: Tree = { domains: ["acme.test"], outbound: { tls: { level: "dane-only" } } };

describe("the resolvers at start", () => {
  it("a silent one is an alarm, not a failed start, even where a partner demands dane-only", async () => {
    const dns = await startDnsServer({}, {});
    open.push(dns.close);
    dns.faults["*"] = "silence";
    const gateway = await site({ resolvers: [`127.0.0.1:${dns.port}`] });
    await gateway.partner("acme", daneOnly);
    await gateway.start();
    expect(await gateway.logged("alarm")).toMatchObject({ code: "resolver-silent", state: "raised" });
  });
  it("one that answers without AD stops the start where a partner demands dane-only, and says what to do", async () => {
    const dns = await startDnsServer({ ".": { SOA: true } });
    open.push(dns.close);
    const gateway = await site({ resolvers: [`127.0.0.1:${dns.port}`] });
    await gateway.partner("acme", daneOnly);
    await expect(gateway.start()).rejects.toThrow(/exit 78: .*dane-only.*dns\.trust_ad/);
  });
  it("and does not where nobody demands it", async () => {
    const dns = await startDnsServer({ ".": { SOA: true } });
    open.push(dns.close);
    const gateway = await site({ resolvers: [`127.0.0.1:${dns.port}`] });
    await expect(gateway.start()).resolves.toBeDefined();
  });
});
