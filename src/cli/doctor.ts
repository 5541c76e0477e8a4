/**
 * `sealpost doctor`: what could keep mail waiting on our own side, each with good, warn or bad, and what to do. Sends
 * no mail and speaks only to what the configuration names.
 */
import { type CliDeps, type Common, EXIT, type ExitCode, printJson } from "./deps.ts";
import { checkOwnCertificates } from "./doctor-certificates.ts";
import {
  checkAuthorities,
  checkClock,
  checkDisk,
  checkModes,
  checkQueue,
  checkSourceAddresses,
} from "./doctor-machine.ts";
import { checkName, checkNextHops, checkOwnTlsa, checkResolvers } from "./doctor-network.ts";
import { checkDkim } from "./doctor-dkim.ts";
import { checkSmime } from "./doctor-signing.ts";
import type { Finding } from "./finding.ts";
import { loadSettings } from "./settings.ts";
import { count, painter, wrapped } from "./text.ts";

export async function doctor(deps: CliDeps, common: Common): Promise<ExitCode> {
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  const outside = deps.openOutside(settings);
  try {
    const [resolvers, name, clock, tlsa, dkim, disk, modes, queue, hops] = await Promise.all([
      checkResolvers(outside, settings),
      checkName(outside, settings),
      checkClock(deps, settings),
      checkOwnTlsa(outside, settings),
      checkDkim(outside, settings, deps.clock.now()),
      checkDisk(settings),
      checkModes(settings),
      checkQueue(deps, settings),
      checkNextHops(outside, settings, deps.clock.now()),
    ]);
    const now = deps.clock.now();
    const certificates = [...checkOwnCertificates(settings, now), ...checkSmime(settings, now)];
    const onNetwork = [...resolvers, ...name, ...checkSourceAddresses(settings), ...tlsa, ...dkim, ...hops];
    const onMachine = [...clock, ...checkAuthorities(), ...certificates, ...disk, ...modes, ...queue];
    const findings = [...onNetwork, ...onMachine];
    if (common.json) for (const finding of findings) printJson(deps, finding);
    else print(deps, findings);
    return findings.some(({ state }) => state === "bad") ? EXIT.no : EXIT.good;
  } finally {
    await outside.close();
  }
}

const COLOURS = { good: "green", warn: "yellow", bad: "red" } as const;
const STATE_WIDTH = 6;

function print(deps: CliDeps, findings: readonly Finding[]): void {
  const { stdout } = deps;
  const paint = painter(stdout, deps.env);
  const labels = Math.max(...findings.map(({ check }) => check.length)) + 2;
  const indent = STATE_WIDTH + labels;
  for (const { check, state, text, remedy } of findings) {
    const head = `${paint(COLOURS[state], state.padEnd(STATE_WIDTH))}${paint("bold", check.padEnd(labels))}`;
    stdout.write(`${head}${wrapped(text, stdout, indent)}\n`);
    if (remedy !== undefined) stdout.write(`${" ".repeat(indent)}${paint("dim", wrapped(remedy, stdout, indent))}\n`);
  }
  const number = (state: Finding["state"]): number => findings.filter((one) => one.state === state).length;
  stdout.write(
    `\n${count(findings.length, "check")}: ${number("good")} good, ${number("warn")} warn, ${number("bad")} bad\n`,
  );
}
