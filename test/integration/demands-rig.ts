/** Partners' servers that prove who they are, or not, before a whole gateway; and what its log says. Judges nothing. */
import { eventually } from "../contract/messages.ts";
import { createAuthority } from "../peers/certificates.ts";
import type { Line, Tree } from "../peers/gateway.ts";
import type { MxMessage, MxOptions } from "../peers/mx-server.ts";
import { SmtpClient } from "../peers/smtp-client.ts";
import { type Clock, systemClock } from "../../src/runtime/clock.ts";
import { createRig, letter, type Rig } from "./treatment-rig.ts";

export const LONG_MS = 30_000;
export const trusted = createAuthority("A CA that is trusted");
const good = trusted.issue({ names: ["mx.acme.test"] });
const other = createAuthority("Some CA").issue({ names: ["mx.acme.test"] });
const ended = trusted.issue({ names: ["mx.acme.test"], notAfter: new Date(Date.now() - 3_600_000) });
const showing = ({ chain, key }: { chain: string; key: string }): MxOptions => ({
  hostname: "mx.acme.test",
  tls: { certificate: chain, key },
});
/** mx.acme.test, as it shows itself. */
export const proven = showing(good);
export const unproven = showing(other);
export const expired = showing(ended);
export const plain: MxOptions = { hostname: "mx.acme.test" };
export const EXTENSIONS = ["8BITMIME", "SIZE 52428800", "DSN", "REQUIRETLS"];
export const requiring: MxOptions = { ...proven, extensionsInTls: EXTENSIONS };

/** Trusts the CA of `proven`; tries again soon. */
export const SETTINGS: Tree = { tls: { trust: ["../ca.crt"] }, queue: { retry: ["300ms"], reserve: "1MiB" } };

/** Not started. `domain` is laid over the entry of example.org. */
export async function prepared(
  mx: MxOptions,
  settings: Tree = {},
  { domain = {}, clock = systemClock }: { domain?: Tree; clock?: Clock } = {},
): Promise<Rig> {
  const rig = await createRig(mx, clock);
  await rig.site.write("ca.crt", trusted.certificate);
  await rig.configure({ ...SETTINGS, ...settings }, domain);
  return rig;
}

export async function started(...given: Parameters<typeof prepared>): Promise<Rig> {
  const rig = await prepared(...given);
  await rig.site.start();
  return rig;
}

/** A line of the log, within half a minute. */
export async function line(rig: Rig, event: string, matches: (line: Line) => boolean = () => true): Promise<Line> {
  const found = (): Line | undefined => rig.site.log.find((one) => one.event === event && matches(one));
  await eventually(() => found() !== undefined, LONG_MS).catch(() => undefined);
  const one = found();
  if (one !== undefined) return one;
  const log = rig.site.log.slice(-40).map((each) => JSON.stringify(each));
  throw new Error(`No ${event} in the log:\n${log.join("\n")}`);
}

export const outcome = (wanted: string) => (one: Line) => one["outcome"] === wanted;

/** Those handed over to acme.test, notices to us left out. */
export const toAcme = (rig: Rig): readonly MxMessage[] =>
  rig.mx.messages.filter(({ recipients }) => recipients.some((one) => one.includes("acme.test")));

/** A rule as YAML has it; a literal with this key would be taken for a promise. */
export const rule = (when: Tree, effects: Tree): Tree =>
  Object.fromEntries([
    ["name", "r"],
    ["when", when],
    // oxlint-disable-next-line no-thenable -- the word of the configuration; nobody awaits it
    ["then", effects],
  ]);

/** Hands a message in over TLS, `content` of whole lines; answers with EHLO's reply and the last one. */
export async function submitOverTls(
  rig: Rig,
  { from = "anna@example.org", parameters = "", content = letter() } = {},
): Promise<{ readonly offered: string; readonly reply: string }> {
  const client = await SmtpClient.greeted({ port: rig.site.gateway().listeners[0]?.port ?? 0 });
  try {
    await client.startTls({ rejectUnauthorized: false });
    const { text: offered } = await client.ask("EHLO pc.example.org");
    for (const command of [`MAIL FROM:<${from}>${parameters}`, "RCPT TO:<bea@acme.test>", "DATA"]) {
      const { code, text } = await client.ask(command);
      if (code >= 400) return { offered, reply: text };
    }
    await client.send(content);
    return { offered, reply: (await client.ask(".")).text };
  } finally {
    client.close();
  }
}
