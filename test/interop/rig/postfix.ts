/**
 * A private Postfix: own configuration, queue, data and log in a temporary folder, on a loopback address of its own.
 * Its maillog and its Maildir are the peer's record. It is stopped by its own command, and nothing of it may stay.
 */
import { readFileSync } from "node:fs";
import { chmod, chown, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { alive, eventually, must, processTree } from "./processes.ts";
import type { Credential } from "./certificates.ts";
import type { Workbench } from "./workbench.ts";

export interface Postfix {
  readonly address: string;
  readonly port: number;
  readonly log: () => string;
  /** The first part of the log that matches. */
  readonly logged: (pattern: RegExp, within?: number) => Promise<RegExpExecArray>;
  /** What its `disconnect` lines tell of each ended session, e.g. "ehlo=1 starttls=1 quit=1 commands=3". */
  readonly sessions: () => string[];
  /** Messages in its mailbox, oldest first. */
  readonly mailbox: () => Promise<Buffer[]>;
  readonly received: (count: number) => Promise<Buffer[]>;
  /** Changes parameters and reloads. */
  readonly configure: (parameters: Readonly<Record<string, string>>) => Promise<void>;
  /** Hands a raw message to its sendmail command. */
  readonly submit: (sender: string, recipients: readonly string[], message: Buffer) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface PostfixWish {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly parameters: Readonly<Record<string, string>>;
  /** Put before its start: takes it into a namespace. */
  readonly enter?: readonly string[];
  /** Lines of master.cf more. */
  readonly services?: readonly string[];
}

/** Parameters of an MX that takes mail for `domains` into its mailbox. */
export function asMx(domains: readonly string[], credential?: Credential): Record<string, string> {
  return {
    mydestination: "",
    virtual_mailbox_domains: domains.join(","),
    virtual_mailbox_maps: "static:box/",
    virtual_uid_maps: "static:65534",
    virtual_gid_maps: "static:65534",
    virtual_mailbox_limit: "0",
    smtpd_relay_restrictions: "reject_unauth_destination",
    ...tlsServer(credential),
  };
}

export function tlsServer(credential: Credential | undefined): Record<string, string> {
  if (credential === undefined) return { smtpd_tls_security_level: "none" };
  return { smtpd_tls_security_level: "may", smtpd_tls_chain_files: `${credential.key},${credential.certificate}` };
}

/** Parameters of an internal server whose smarthost is the gateway, which it verifies by name. */
export function asSender(gateway: { port: number; ca: string; name: string }): Record<string, string> {
  return {
    mydestination: "",
    relayhost: `[127.0.0.1]:${gateway.port}`,
    smtp_dns_support_level: "disabled",
    smtp_tls_security_level: "secure",
    smtp_tls_CAfile: gateway.ca,
    smtp_tls_secure_cert_match: gateway.name,
    smtp_line_length_limit: "0", // or it would break long lines itself
    smtpd_relay_restrictions: "permit_mynetworks,reject",
  };
}

/** Offers TLS 1.1 and nothing newer; what OpenSSL otherwise forbids for that version is allowed. */
export const TLS_1_1_ONLY = {
  smtpd_tls_protocols: "TLSv1.1",
  tls_medium_cipherlist: "DEFAULT:@SECLEVEL=0",
} as const;

/** Undoes it. */
export const TLS_AS_USUAL = { smtpd_tls_protocols: ">=TLSv1.2", tls_medium_cipherlist: "DEFAULT" } as const;

export async function startPostfix(bench: Workbench, wish: PostfixWish): Promise<Postfix> {
  const folder = await bench.folder(wish.name);
  await layOut(folder, wish);
  const [program, ...before] = [...(wish.enter ?? []), "postfix", "-c", join(folder, "etc")];
  const command = (verb: string) => must(program, [...before, verb]);
  try {
    await command("start");
  } catch (error) {
    throw new Error(`Postfix does not start:\n${recordOf(folder).log()}`, { cause: error });
  }
  const master = await masterOf(folder);
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    const tree = processTree(master);
    await command("stop");
    const left = () => tree.filter(alive);
    await eventually(`the end of Postfix ${wish.name}`, () => left().length === 0, { seen: () => left().join(" ") });
  };
  bench.atEnd(stop);
  return { address: wish.address, port: wish.port, stop, ...recordOf(folder), ...actionsOn(folder, command) };
}

async function layOut(folder: string, wish: PostfixWish): Promise<void> {
  for (const part of ["etc", "queue", "data", "mail"]) await mkdir(join(folder, part));
  await chown(join(folder, "mail"), 65534, 65534);
  await must("chown", ["postfix", join(folder, "data")]);
  await chmod(join(folder, "data"), 0o700);
  const parameters: Record<string, string> = {
    compatibility_level: "3.7",
    queue_directory: join(folder, "queue"),
    data_directory: join(folder, "data"),
    maillog_file: join(folder, "maillog"),
    maillog_file_prefixes: folder,
    myhostname: `${wish.name}.test`,
    mynetworks: "127.0.0.0/8",
    inet_interfaces: "all", // where it listens says master.cf; Postfix finds no interface for most loopback addresses
    inet_protocols: "ipv4",
    alias_maps: "",
    alias_database: "",
    virtual_mailbox_base: join(folder, "mail"),
    smtpd_peername_lookup: "no",
    smtpd_tls_loglevel: "1",
    smtp_tls_loglevel: "1",
    smtpd_tls_mandatory_protocols: ">=TLSv1.2",
    local_header_rewrite_clients: "",
    message_size_limit: "0",
    mailbox_size_limit: "0",
    in_flow_delay: "0",
    smtpd_client_connection_rate_limit: "0",
    minimal_backoff_time: "2s",
    queue_run_delay: "2s",
    ...wish.parameters,
  };
  const lines = Object.entries(parameters).map(([key, value]) => `${key} = ${value}\n`);
  await writeFile(join(folder, "etc", "main.cf"), lines.join(""));
  const services = [masterFile(`${wish.address}:${wish.port}`), ...(wish.services ?? [])];
  await writeFile(join(folder, "etc", "master.cf"), services.join(""));
}

function masterFile(endpoint: string): string {
  const service = (name: string, kind: string, limits: string, program: string) =>
    `${name} ${kind} - n ${limits} ${program}\n`;
  const open = "unix n"; // in queue/public, for its commands
  const inner = "unix -";
  return [
    service(endpoint, "inet n", "- -", "smtpd"),
    service("pickup", open, "60 1", "pickup"),
    service("cleanup", open, "- 0", "cleanup"),
    service("qmgr", open, "300 1", "qmgr"),
    service("showq", open, "- -", "showq"),
    service("postlog", "unix-dgram n", "- 1", "postlogd"),
    service("tlsmgr", inner, "1000? 1", "tlsmgr"),
    service("rewrite", inner, "- -", "trivial-rewrite"),
    ...["bounce", "defer", "trace"].map((name) => service(name, inner, "- 0", "bounce")),
    ...["smtp", "relay"].map((name) => service(name, inner, "- -", "smtp")),
    ...["error", "retry"].map((name) => service(name, inner, "- -", "error")),
    "virtual unix - n n - - virtual\n", // with its rights: it writes as the mailbox's owner
    service("anvil", inner, "- 1", "anvil"),
    service("scache", inner, "- 1", "scache"),
    service("proxymap", inner, "- -", "proxymap"),
  ].join("");
}

async function masterOf(folder: string): Promise<number> {
  const file = join(folder, "queue", "pid", "master.pid");
  return eventually("Postfix's master process", async () => {
    const pid = Number((await readFile(file, "latin1").catch(() => "")).trim());
    return pid > 0 && alive(pid) ? pid : undefined;
  });
}

function recordOf(folder: string) {
  const log = () => {
    try {
      return readFileSync(join(folder, "maillog"), "utf8");
    } catch {
      return ""; // it has not written anything yet
    }
  };
  const box = join(folder, "mail", "box", "new");
  const mailbox = async () => {
    const names = await readdir(box).catch(() => [] as string[]);
    return Promise.all(names.sort().map((name) => readFile(join(box, name))));
  };
  return {
    log,
    logged: (pattern: RegExp, within = 20_000) =>
      eventually(`${pattern} in the maillog`, () => pattern.exec(log()) ?? undefined, { within, seen: log }),
    sessions: () => [...log().matchAll(/ disconnect from \S+ (.*)/g)].map((line) => line[1] ?? ""),
    mailbox,
    received: (count: number) =>
      eventually(
        `${count} messages in the mailbox`,
        async () => {
          const all = await mailbox();
          return all.length >= count && all;
        },
        { seen: log },
      ),
  };
}

function actionsOn(folder: string, command: (verb: string) => Promise<string>) {
  const config = join(folder, "etc");
  const { log } = recordOf(folder);
  return {
    configure: async (parameters: Readonly<Record<string, string>>) => {
      const pairs = Object.entries(parameters).map(([key, value]) => `${key}=${value}`);
      await must("postconf", ["-c", config, "-e", ...pairs]);
      const reloads = () => log().split(" reload -- version ").length;
      const before = reloads();
      await command("reload");
      await eventually("Postfix's reload", () => reloads() > before, { seen: log }); // idle processes end with it
    },
    submit: async (sender: string, recipients: readonly string[], message: Buffer) => {
      await must("sendmail", ["-C", config, "-i", "-f", sender, ...recipients], { input: message });
    },
  };
}
