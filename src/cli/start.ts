/**
 * `sealpost start`: runs the gateway in the foreground until a signal ends it. Standard output is the log's; what is
 * told to people goes to standard error.
 */
import { type CliDeps, type Common, EXIT, type ExitCode, type Gateway, refuse } from "./deps.ts";
import { painter, table } from "./text.ts";

export async function start(deps: CliDeps, common: Common): Promise<ExitCode> {
  let ended = false;
  let end: (code: ExitCode) => void = () => undefined;
  const over = new Promise<ExitCode>((resolve) => {
    end = resolve;
  });
  let gateway: Gateway | undefined;
  const stop = (signal: string): void => {
    if (ended) return end(EXIT.no); // the second time: at once
    ended = true;
    void gateway?.stop(signal).then(
      () => end(EXIT.good),
      (error: unknown) => end(refuse(deps, EXIT.no, [`The gateway did not stop cleanly: ${String(error)}`])),
    );
  };
  deps.onSignal("SIGTERM", () => stop("SIGTERM"));
  deps.onSignal("SIGINT", () => stop("SIGINT"));
  deps.onSignal("SIGHUP", () => {
    gateway?.reopenLog();
    void gateway?.reload();
  });
  const started = await deps.startGateway({ configFile: common.config });
  if (!started.ok) return refuse(deps, started.exitCode, started.lines);
  gateway = started.gateway;
  if (ended) await gateway.stop("signal during the start").then(() => end(EXIT.good));
  else tellWhatNext(deps, common, gateway);
  return over;
}

function tellWhatNext(deps: CliDeps, common: Common, { listeners, admin }: Gateway): void {
  const paint = painter(deps.stderr, deps.env);
  const places = listeners.map(({ name, address, port }) => [
    `  ${name}`,
    `${address} port ${port}`,
    "hand mail in here",
  ]);
  const rows = [...places, ["  admin", `${admin.address} port ${admin.port}`, "health, metrics, the command line"]];
  const [first] = listeners;
  const next = [
    first &&
      `Point your mail server's smarthost at [${first.address}]:${first.port}; its address must be among clients.`,
    `Describe a partner in a file below partners/, then: sealpost check && sealpost reload`,
    `See what a recipient's mail must prove: sealpost explain anna@acme.example`,
    `See what waits, and why: sealpost queue list`,
    `Stop with Ctrl-C. The log is one JSON object per line, on standard output unless log.to says otherwise.`,
  ];
  const lines = [
    `${paint("green", "sealpost is ready")}, configured by ${common.config}`,
    ...table(rows),
    ...next.filter((line) => line !== undefined).map((line) => paint("dim", line)),
  ];
  for (const line of lines) deps.stderr.write(`${line}\n`);
}
