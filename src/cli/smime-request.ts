/**
 * `sealpost smime request ADDRESS|@DOMAIN`: a private key and a request for a certificate that signs and decrypts mail.
 * The request is printed; the key never is. Needs no valid configuration and changes none.
 */
import { basename, join, resolve } from "node:path";
import { parseDomainName } from "../mail/domain-name.ts";
import { formatDomain, mailboxKey, needsSmtpUtf8, parseMailbox } from "../mail/mailbox.ts";
import { certificationRequest, type RequestWish, selfSignedPerson } from "./certification-request.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { makeFiles } from "./new-files.ts";
import { shownPath } from "./settings.ts";
import { painter } from "./text.ts";
import { signersFolder } from "./written-paths.ts";

export interface SmimeRequestOptions {
  /** As it was written: an address, or `@domain`. */
  readonly whom: string;
  readonly out?: string;
  readonly algorithm: string;
  readonly selfSigned?: boolean;
}

interface Wish extends RequestWish {
  /** `anna@example.org` or `@example.org` */
  readonly whom: string;
  readonly domain: string;
  /** Of the file that the gateway reads, without ending. */
  readonly stem: string;
}

export async function smimeRequest(deps: CliDeps, common: Common, options: SmimeRequestOptions): Promise<ExitCode> {
  const wish = wishOf(options);
  if (typeof wish === "string") return refuse(deps, EXIT.usage, [wish]);
  const home = signersFolder(deps, common, wish.domain);
  const folder = options.out === undefined ? home : resolve(deps.cwd, options.out);
  const self = options.selfSigned === true;
  const made = self
    ? await selfSignedPerson(wish, { now: deps.clock.now(), serial: deps.random.bytes(16) })
    : await certificationRequest(wish);
  const install = join(self ? folder : home, `${wish.stem}.pem`);
  const files = self
    ? [{ path: install, content: made.key + made.pem, secret: true }]
    : [
        { path: join(folder, `${wish.stem}.key`), content: made.key, secret: true },
        { path: join(folder, `${wish.stem}.csr`), content: made.pem, secret: false },
      ];
  const written = await makeFiles(files);
  if (!written.ok) {
    const path = shownPath(deps, written.path);
    return written.why === "exists"
      ? refuse(deps, EXIT.no, [`${path} is there already, and stays as it is. Move it away, or give another --out.`])
      : refuse(deps, EXIT.configuration, [`${path} cannot be written (${written.code}).`]);
  }
  const paths = files.map(({ path }) => path);
  const [key, request] = paths;
  if (common.json) printJson(deps, { for: wish.whom, key, ...(self ? {} : { request }), install, pem: made.pem });
  else {
    deps.stdout.write(made.pem);
    advise(deps, self ? selfSignedAdvice(deps, install) : requestAdvice(deps, paths, install));
  }
  return EXIT.good;
}

/** What is wished for, or what is wrong with it. */
function wishOf({ whom, algorithm }: SmimeRequestOptions): Wish | string {
  if (algorithm !== "rsa" && algorithm !== "ec")
    return `--algorithm ${JSON.stringify(algorithm)} is not known. Write rsa or ec.`;
  if (whom.startsWith("@")) {
    const domain = parseDomainName(whom.slice(1));
    if (domain === undefined) return `${JSON.stringify(whom)} is no domain. Write one, as @example.org.`;
    // RFC 3183 §3.1.1 and §4.1.1: the names by which a domain as a whole signs and is written to.
    const emails = ["domain-signing-authority", "domain-confidentiality-authority"].map((name) => `${name}@${domain}`);
    return { whom: `@${domain}`, domain, emails, commonName: domain, algorithm, stem: "_gateway" };
  }
  const mailbox = parseMailbox(whom);
  if (mailbox === undefined || typeof mailbox.domain !== "string")
    return `${JSON.stringify(whom)} is no address. Write one, as anna@example.org, or @example.org for everyone there.`;
  if (needsSmtpUtf8(mailbox) || !/^[\w.+=~-]+$/.test(mailbox.localPart))
    return `${JSON.stringify(whom)} cannot stand in a certificate of this kind: only letters, digits and . _ + = ~ - may.`;
  const address = mailboxKey(mailbox);
  const domain = formatDomain(mailbox.domain);
  return { whom: address, domain, emails: [address], commonName: address, algorithm, stem: address };
}

function requestAdvice(deps: CliDeps, [key = "", request = ""]: readonly string[], install: string): string[] {
  const [keyFile, target] = [shownPath(deps, key), shownPath(deps, install)];
  return [
    `The request is in ${shownPath(deps, request)}, the key in ${keyFile}: back it up, what is encrypted to it needs it for ever.`,
    "Send the request to a CA. Put what comes back behind the key, the intermediate certificates after it:",
    `  cat ${keyFile} CERTIFICATE.pem INTERMEDIATES.pem > ${target} && chmod 600 ${target}`,
    `sealpost smime list shows ${basename(install)} once it fits; sealpost reload makes it sign.`,
  ];
}

function selfSignedAdvice(deps: CliDeps, install: string): string[] {
  return [
    `Key and certificate are in ${shownPath(deps, install)}. Nobody can verify it who does not have it already: for tests only.`,
    "sealpost reload makes it sign.",
  ];
}

function advise(deps: CliDeps, lines: readonly string[]): void {
  const paint = painter(deps.stderr, deps.env);
  for (const line of lines) deps.stderr.write(`${paint("dim", line)}\n`);
}
