/** `sealpost tls profiles [NAME]`: what each named profile leaves in effect with the OpenSSL of this Node. */
import { describeProfile, type ProfileInEffect, TLS_PROFILE_NAMES, tlsProfile } from "../config/tls-profiles.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { fitted, painter, table, wrapped } from "./text.ts";

export function tlsProfiles(deps: CliDeps, common: Common, name: string | undefined): ExitCode {
  const names = name === undefined ? TLS_PROFILE_NAMES : [name];
  const profiles = names.flatMap((each) => {
    const profile = tlsProfile(each);
    return profile === undefined ? [] : [describeProfile(profile)];
  });
  if (profiles.length === 0) {
    return refuse(deps, EXIT.no, [
      `There is no profile ${JSON.stringify(name)}. There are: ${TLS_PROFILE_NAMES.join(", ")}.`,
    ]);
  }
  if (common.json) for (const profile of profiles) printJson(deps, profile);
  else if (name === undefined) printList(deps, profiles);
  else for (const profile of profiles) printProfile(deps, profile);
  return EXIT.good;
}

function printList(deps: CliDeps, profiles: readonly ProfileInEffect[]): void {
  const paint = painter(deps.stdout, deps.env);
  const head = ["PROFILE", "AT LEAST", "SUITES", "GROUPS"];
  const [title = "", ...lines] = table([head, ...profiles.map(row)]);
  deps.stdout.write(`${paint("bold", title)}\n`);
  for (const line of lines) deps.stdout.write(`${fitted(line, deps.stdout)}\n`);
}

function row({ name, minVersion, tls13Suites, tls12Suites, groups }: ProfileInEffect): string[] {
  return [name, minVersion, String(tls13Suites.length + tls12Suites.length), groups.join(" ")];
}

function printProfile(deps: CliDeps, profile: ProfileInEffect): void {
  const paint = painter(deps.stdout, deps.env);
  const older = profile.minVersion === "TLSv1.2" ? "TLS 1.2" : "TLS 1.2 and older";
  const rows: [string, readonly string[]][] = [
    ["profile", [profile.name]],
    ["at least", [profile.minVersion]],
    ["TLS 1.3", profile.tls13Suites],
    [older, profile.tls12Suites],
    ["groups", profile.groups],
    ["signatures", profile.signatureAlgorithms],
  ];
  for (const [label, words] of rows) {
    if (words.length === 0) continue;
    deps.stdout.write(`${paint("bold", label.padEnd(19))}${wrapped(words.join(" "), deps.stdout, 19)}\n`);
  }
}
