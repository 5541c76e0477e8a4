/**
 * The process that runs in a namespace and holds what is scripted there: MX hosts, policy hosts, a silent name server
 * and the client that hands mail in. It is called over IPC, keeps the record of its peers, and ends with its parent.
 */
import dgram from "node:dgram";
import { once } from "node:events";
import { type HttpsAnswer, type HttpsPeer, startHttpsServer } from "../../peers/https-server.ts";
import { type MxOptions, type MxServer, startMx } from "../../peers/mx-server.ts";
import { openDialogue, pipelined } from "./dialogue.ts";

/** What an MX host saw, by the name it was opened with. */
export interface MxRecord {
  readonly commands: readonly { readonly line: string; readonly secure: boolean; readonly connection: number }[];
  readonly messages: readonly { readonly mail: string; readonly secure: boolean; readonly connection: number }[];
  readonly handshakes: readonly { readonly version: string | null; readonly servername: string | null }[];
}

export interface Mail {
  readonly from: string;
  readonly to: string;
}

/** Texts: a certificate with what is sent along, and its key. */
export interface Pem {
  readonly chain: string;
  readonly key: string;
}

const mx = new Map<string, MxServer>();
const policyHosts = new Map<string, HttpsPeer>();

const calls = {
  openMx: async (name: string, address: string, options: MxOptions & { readonly port?: number }) => {
    mx.set(name, await startMx({ hostname: name, ...options }, address, options.port ?? 25));
  },
  changeMx: (name: string, options: MxOptions) => mx.get(name)?.change({ hostname: name, ...options }),
  record: (): Record<string, MxRecord> =>
    Object.fromEntries(
      [...mx].map(([name, { commands, messages, handshakes }]) => [
        name,
        {
          commands,
          handshakes,
          messages: messages.map(({ mail, secure, connection }) => ({ mail, secure, connection })),
        },
      ]),
    ),
  openPolicyHost: async (name: string, address: string, certificate: Pem, answer?: HttpsAnswer) => {
    const peer = await startHttpsServer(certificate, { address, port: 443 });
    peer.answer = answer;
    policyHosts.set(name, peer);
  },
  changePolicyHost: (name: string, change: { readonly answer?: HttpsAnswer; readonly certificate?: Pem }) => {
    const peer = policyHosts.get(name);
    if (peer === undefined) throw new Error(`No policy host ${name}`);
    if (change.answer !== undefined) peer.answer = change.answer;
    if (change.certificate !== undefined) peer.use(change.certificate);
  },
  closePolicyHost: (name: string) => policyHosts.get(name)?.close(),
  /** Paths asked for so far, with the name in the handshake. */
  policyRequests: (name: string) =>
    policyHosts.get(name)?.requests.map(({ servername, path }) => ({ servername, path })),
  /** Takes questions and never answers. */
  openSilence: async (address: string) => {
    const socket = dgram.createSocket("udp4");
    socket.bind(53, address);
    await once(socket, "listening");
  },
  /** In one session; answers with the code for each. */
  submit: async (port: number, mails: readonly Mail[], address = "127.0.0.1") => {
    const client = await openDialogue(port, address);
    await client.reply();
    await pipelined(client, ["EHLO client.test"]);
    const codes: number[] = [];
    for (const { from, to } of mails) {
      const begun = await pipelined(client, [`MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, "DATA"]);
      const refused = begun.find(({ code }) => code >= 400);
      if (refused === undefined)
        await client.write(`From: <${from}>\r\nTo: <${to}>\r\nSubject: a case\r\n\r\nsecret\r\n.\r\n`);
      codes.push(refused?.code ?? (await client.reply()).code);
      if (refused !== undefined) await pipelined(client, ["RSET"]);
    }
    await pipelined(client, ["QUIT"]);
    client.close();
    return codes;
  },
};

export type Calls = typeof calls;

type Call = { readonly id: number; readonly name: keyof Calls; readonly args: readonly unknown[] };

process.on("message", (message) => {
  const { id, name, args } = message as Call;
  const answer = async () => (calls[name] as (...args: readonly unknown[]) => unknown)(...args);
  answer().then(
    (value) => process.send?.({ id, value }),
    (error: unknown) => process.send?.({ id, error: String(error) }),
  );
});
process.on("disconnect", () => process.exit(0));
process.send?.("ready");
