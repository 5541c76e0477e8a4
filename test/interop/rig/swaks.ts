/** One SMTP transaction by swaks. What it says of the dialogue is read from its transcript and its exit code. */
import { run } from "./processes.ts";

export interface Swaks {
  /** 0: the message was accepted. 21 connect, 22 greeting or EHLO, 23 MAIL, 24 RCPT, 25/26 DATA, 28 AUTH, 29 TLS. */
  readonly code: number;
  readonly transcript: string;
  /** Replies that refused something, without the arrow. */
  readonly refusals: string[];
  /** The queue id in the answer to DATA. */
  readonly queueId: string | undefined;
}

export interface SwaksWish {
  readonly port: number;
  readonly server?: string;
  readonly from?: string;
  readonly to?: string;
  /** More arguments of swaks, as its manual has them. */
  readonly more?: readonly string[];
}

export async function swaks(wish: SwaksWish): Promise<Swaks> {
  const { code, stdout, stderr } = await run("swaks", [
    ...`--server ${wish.server ?? "127.0.0.1"} --port ${wish.port} --helo client.test --timeout 20`.split(" "),
    ...`--from ${wish.from ?? "anna@own.test"} --to ${wish.to ?? "bernd@partner.test"}`.split(" "),
    ...(wish.more ?? []),
  ]);
  const transcript = stdout + stderr;
  return {
    code,
    transcript,
    refusals: [...transcript.matchAll(/^<[-~]?\*\*?\s+(.*)$/gm)].map((line) => line[1] ?? ""),
    queueId: /250 2\.0\.0 ([0-9a-f]+) queued/.exec(transcript)?.[1],
  };
}
