/** The client side of one SMTP session over a raw socket, upgraded to TLS on demand; the load tool speaks through it. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

export interface Reply {
  readonly code: number;
  readonly text: string;
}

export interface Dialogue {
  readonly write: (data: Buffer | string) => Promise<void>;
  /** The next reply. Rejects when the connection ends first. */
  readonly reply: () => Promise<Reply>;
  readonly startTls: (ca: string | undefined) => Promise<void>;
  readonly close: () => void;
}

export async function openDialogue(port: number, address = "127.0.0.1", localAddress?: string): Promise<Dialogue> {
  let socket: Socket = connect({ port, host: address, ...(localAddress !== undefined && { localAddress }) });
  await once(socket, "connect");
  let buffer = "";
  let failure: Error | undefined;
  let wake: () => void = () => {};
  const ended = (error?: Error) => {
    failure ??= error instanceof Error ? error : new Error("The connection ended");
    wake();
  };
  const onData = (chunk: Buffer) => {
    buffer += chunk.toString("latin1");
    wake();
  };
  const attach = () =>
    void socket
      .on("data", onData)
      .on("error", ended)
      .on("close", () => ended());
  attach();
  const reply = async (): Promise<Reply> => {
    for (;;) {
      const match = /^(?:\d{3}-[^\n]*\n)*(\d{3})(?: ([^\r\n]*))?\r\n/.exec(buffer);
      if (match !== null) {
        buffer = buffer.slice(match[0].length);
        return { code: Number(match[1]), text: match[2] ?? "" };
      }
      if (failure !== undefined) throw failure;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  return {
    reply,
    write: async (data) => {
      if (failure !== undefined) throw failure;
      if (socket.write(data)) return;
      await new Promise<void>((resolve) => {
        wake = resolve; // the connection's end
        socket.once("drain", resolve);
      });
    },
    startTls: async (ca) => {
      const plain = socket;
      plain.removeAllListeners("data").removeAllListeners("close").removeAllListeners("error");
      const trust = ca === undefined ? { rejectUnauthorized: false } : { ca };
      const secure = connectTls({ socket: plain, servername: "relay.own.test", ...trust });
      socket = secure;
      await once(secure, "secureConnect");
      attach();
    },
    close: () => {
      socket.removeAllListeners("close").on("error", () => {});
      socket.destroy();
    },
  };
}

/** Sends commands in one segment (RFC 2920) and answers with the replies, one for each. */
export async function pipelined(dialogue: Dialogue, commands: readonly string[]): Promise<Reply[]> {
  await dialogue.write(commands.map((command) => `${command}\r\n`).join(""));
  const replies: Reply[] = [];
  for (const _ of commands) replies.push(await dialogue.reply());
  return replies;
}
