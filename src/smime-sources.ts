/**
 * The certificates that the configuration gives, ready to be chosen from: placed by hand, harvested, the trusted
 * roots and what may lie between. Read once per configuration. Asks nobody.
 */
import { X509Certificate } from "node:crypto";
import { basename } from "node:path";
import { getCACertificates } from "node:tls";
import { checkBundle } from "./config/certificates.ts";
import type { SmimeSettings } from "./mail/smime-settings.ts";
import type { SmimeRecipientSettings } from "./mail/treatment.ts";
import { type Candidate, readCandidate } from "./transform/smime/candidate.ts";
import type { Offered } from "./transform/smime/choose-certificate.ts";

export interface SmimeSources {
  readonly byHand: readonly Offered[];
  readonly harvested: readonly Offered[];
  readonly roots: readonly Candidate[];
  readonly intermediates: readonly Candidate[];
}

export function smimeSources({ trust, recipients, harvested }: SmimeSettings): SmimeSources {
  const [hand, taken] = [recipients.map(readAll), harvested.map(readAll)];
  return {
    byHand: hand.flatMap(({ settings, certificates: [certificate] }) => {
      const { addresses, domains, file } = settings;
      return certificate === undefined
        ? []
        : [{ certificate, addresses, domains, source: basename(file), pinned: true }];
    }),
    // An outsider's mail brought them: nothing counts but what a trusted CA says in them.
    harvested: taken.flatMap(({ settings, certificates: [certificate] }) =>
      certificate === undefined ? [] : [outside(certificate, basename(settings.file))],
    ),
    roots: (trust === "system" ? systemRoots() : trust).flatMap(candidatesIn),
    intermediates: [...hand, ...taken].flatMap(({ certificates }) => certificates.slice(1)),
  };
}

/** One that only speaks for itself. */
export function outside(certificate: Candidate, source: string): Offered {
  return { certificate, addresses: [], domains: [], source, pinned: false };
}

/** The certificate, then what came along with it. */
function readAll(settings: SmimeRecipientSettings): {
  readonly settings: SmimeRecipientSettings;
  readonly certificates: readonly Candidate[];
} {
  return { settings, certificates: candidatesIn(settings.certificate) };
}

/** config/ has refused what cannot be read. */
function candidatesIn(pem: string): readonly Candidate[] {
  const bundle = checkBundle(pem);
  const texts = "message" in bundle ? [] : bundle.certificates;
  return texts.flatMap((text) => readCandidate(new X509Certificate(text).raw) ?? []);
}

function systemRoots(): readonly string[] {
  const system = getCACertificates("system");
  return system.length > 0 ? system : getCACertificates("bundled");
}
