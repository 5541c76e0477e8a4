/** `sealpost smime list`: the certificates that sign our mail, and those that mail to others is encrypted with. */
import { type CliDeps, type Common, EXIT, type ExitCode, printJson } from "./deps.ts";
import { loadSettings, shownPath } from "./settings.ts";
import { described, type KnownCertificate, knownCertificates } from "./smime-certificates.ts";
import { type Paint, painter, printable } from "./text.ts";

/** An empty list is an answer, too: nothing is wrong with it. */
export async function smimeList(deps: CliDeps, common: Common): Promise<ExitCode> {
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  const known = knownCertificates(settings, deps.clock.now());
  if (common.json) for (const one of known) printJson(deps, asJson(one));
  else print(deps, known);
  return EXIT.good;
}

function asJson({ kind, holders, certificate, usableFor, problems, file }: KnownCertificate): object {
  return { kind, for: holders, ...described(certificate), usableFor, problems, ...(file !== undefined && { file }) };
}

const HEADS = {
  own: "Our own: they sign",
  partner: "Partners: mail is encrypted to them",
  harvested: "Taken from mail that came in: used where a trusted CA issued them",
} as const;

function print(deps: CliDeps, known: readonly KnownCertificate[]): void {
  const paint = painter(deps.stdout, deps.env);
  for (const kind of ["own", "partner", "harvested"] as const) {
    const some = known.filter((one) => one.kind === kind);
    if (some.length === 0) continue;
    deps.stdout.write(`${paint("bold", HEADS[kind])}\n`);
    for (const one of some) for (const line of linesOf(deps, one, paint)) deps.stdout.write(`  ${line}\n`);
  }
  if (known.length === 0) deps.stdout.write("No S/MIME certificate is there. See sealpost smime --help.\n");
}

function linesOf(deps: CliDeps, one: KnownCertificate, paint: Paint): string[] {
  const { subject, issuer, notAfter, keyType, sha256 } = described(one.certificate);
  const usable = one.usableFor.length > 0;
  return [
    `${paint(usable ? "green" : "red", usable ? "good" : "bad ")}  ${paint("bold", printable(one.holders.join(", ")))}`,
    `      ${printable(subject)}, by ${printable(issuer)}`,
    `      ${keyType}, until ${notAfter}${one.file === undefined ? "" : `, in ${shownPath(deps, one.file)}`}`,
    `      SHA-256 ${sha256}`,
    ...one.problems.map((problem) => `      ${paint(usable ? "yellow" : "red", `It ${problem}.`)}`),
  ];
}
