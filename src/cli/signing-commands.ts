/** The words of `dkim` and `smime`: keys that sign our mail, and certificates that it is encrypted to. */
import type { Command } from "commander";
import type { CliDeps, Common, ExitCode } from "./deps.ts";
import { dkimGenerate, type DkimGenerateOptions } from "./dkim-generate.ts";
import { dkimShow } from "./dkim-show.ts";
import { smimeImport, type SmimeImportOptions } from "./smime-import.ts";
import { smimeList } from "./smime-list.ts";
import { smimeRequest, type SmimeRequestOptions } from "./smime-request.ts";

type Run<Args extends unknown[]> = (common: Common, ...args: Args) => ExitCode | Promise<ExitCode>;
/** Makes an action of commander out of a command's function. */
export type Running = <Args extends unknown[]>(
  run: Run<Args>,
) => (...given: [...Args, unknown, Command]) => Promise<void>;

export function addSigning(program: Command, deps: CliDeps, running: Running): void {
  addDkim(program.command("dkim").description("keys that sign mail of our domains (RFC 6376)"), deps, running);
  addSmime(
    program.command("smime").description("certificates that sign mail, and that it is encrypted to"),
    deps,
    running,
  );
}

function addDkim(dkim: Command, deps: CliDeps, running: Running): void {
  const generate = dkim
    .command("generate")
    .argument("<domain>", "one of our own, as example.org")
    .description("make keys in new files; print their DNS records and the lines for sealpost.yaml");
  generate
    .option("--selector <selector>", "the keys' name in DNS; else sYYYYMM, with r or e behind it")
    .option("--algorithm <algorithm>", "rsa, ed25519, or both, each with a signature of its own", "both")
    .option("--bits <bits>", "of an RSA key: 2048, 3072 or 4096", "2048")
    .option("--out <folder>", "where the key files go; else ../certs/dkim beside the configuration")
    .action(
      running<[string]>((common, domain) =>
        dkimGenerate(deps, common, { ...generate.opts<Omit<DkimGenerateOptions, "domain">>(), domain }),
      ),
    );
  const show = dkim
    .command("show")
    .argument("[domain]", "one of our own; else all")
    .description("the DNS records of the configured keys, and whether DNS has them");
  show
    .option("--offline", "ask no resolver")
    .action(
      running<[string?]>((common, domain) =>
        dkimShow(deps, common, { ...show.opts<{ offline?: boolean }>(), ...(domain !== undefined && { domain }) }),
      ),
    );
}

function addSmime(smime: Command, deps: CliDeps, running: Running): void {
  smime
    .command("list")
    .description("our own certificates, those of partners, and those taken from mail")
    .action(running<[]>((common) => smimeList(deps, common)));
  const imported = smime
    .command("import")
    .argument("<files...>", "certificates (PEM, DER, P7B), or signed messages (.eml, .p7s)")
    .description(
      "copy partners' certificates to where mail is encrypted with them; compare the fingerprints by telephone",
    );
  imported
    .option("--for <whom>", "an address, or @domain.example for everyone there; else the addresses in the certificate")
    .action(
      running<[string[]]>((common, files) =>
        smimeImport(deps, common, { ...imported.opts<Omit<SmimeImportOptions, "files">>(), files }),
      ),
    );
  const request = smime
    .command("request")
    .argument("<whom>", "a sender's address, or @domain.example for the key of the whole domain")
    .description("make a key and a certificate signing request (PKCS#10) to be sent to a CA");
  request
    .option("--out <folder>", "where the files go; else the domain's smime directory, or ../certs/smime")
    .option("--algorithm <algorithm>", "rsa (3072 bits) or ec (P-256)", "rsa")
    .option("--self-signed", "a certificate that only signs itself, for tests")
    .action(
      running<[string]>((common, whom) =>
        smimeRequest(deps, common, { ...request.opts<Omit<SmimeRequestOptions, "whom">>(), whom }),
      ),
    );
}
