/** What loading a configuration needs from outside, and what every builder is handed while one is put together. */
import type { OwnCertificate } from "../accept/settings.ts";
import type { MatchEntry } from "../decide/policy.ts";
import type { TrustSet } from "../mail/tls-requirement.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Environment } from "./environment.ts";
import type { FileAccess } from "./file-access.ts";
import type { Files } from "./files.ts";
import type { Flaw, Problems } from "./problems.ts";

export interface ConfigDeps {
  readonly files: Files;
  readonly env: Environment;
  readonly clock: Pick<Clock, "now">;
  /** Loads or makes the certificate of a gateway that was given none. */
  readonly selfSigned: (request: {
    readonly dataDir: string;
    readonly hostname: string;
    readonly now: number;
  }) => Promise<OwnCertificate | Flaw>;
}

export interface Building {
  readonly problems: Problems;
  readonly access: FileAccess;
  /** Epoch ms. */
  readonly now: number;
  /** `allow_group_read` of sealpost.yaml, for secrets that do not say otherwise. */
  readonly groupMay: boolean;
  /** `tls.trust` */
  readonly trust: TrustSet;
  /** `match_sets`; undefined when they could not be read, so that nobody is told of names missing in them. */
  readonly sets: ReadonlyMap<string, readonly MatchEntry[]> | undefined;
  /** `delivery.port` */
  readonly port: number;
  /** `queue.lifetime` */
  readonly lifetimeMs: number;
}
