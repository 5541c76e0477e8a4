/**
 * One validated snapshot of every configuration file: all that the other rooms are told.
 * Each room owns the type of what it needs; this file only puts them together.
 */
import type { AcceptSettings } from "../accept/settings.ts";
import type { AdminSettings } from "../admin/settings.ts";
import type { DeliverySettings, DnsSettings } from "../connect/settings.ts";
import type { Policy } from "../decide/policy.ts";
import type { SmimeSettings } from "../mail/smime-settings.ts";
import type { LogSettings } from "../report/settings.ts";
import type { RetrySchedule } from "../schedule/retry-schedule.ts";
import type { StoreSettings } from "../store/settings.ts";

export interface Settings {
  /** Absolute path of sealpost.yaml. */
  readonly file: string;
  /** Every file that was read, absolute: certificates and keys are watched for changes. */
  readonly files: readonly string[];
  /** Folders whose files were read, absolute, also those not there yet: what comes into them is taken, too. */
  readonly folders: readonly string[];
  readonly hostname: string;
  /** Address that notices name. */
  readonly postmaster: string;
  readonly dataDir: string;
  readonly accept: AcceptSettings;
  readonly dns: DnsSettings;
  readonly delivery: DeliverySettings;
  readonly store: StoreSettings;
  readonly schedule: RetrySchedule;
  readonly concurrencyPerDestination: number;
  /** Messages a minute; 0: no limit. */
  readonly ratePerDestination: number;
  readonly noticeLanguage: "auto" | "de" | "en";
  /** Ages of waiting mail at which its sender is told, ms, ascending; empty: never. */
  readonly delayNoticesMs: readonly number[];
  /** How long the history of messages is kept, ms; 0: none is. */
  readonly historyMs: number;
  readonly policy: Policy;
  readonly smime: SmimeSettings;
  readonly alarms: AlarmSettings;
  readonly log: LogSettings;
  readonly admin: AdminSettings;
}

export interface AlarmSettings {
  /** Days before the end of a certificate, key or pin at which it is told of; empty: never. */
  readonly certificateDays: readonly number[];
  /** Age of waiting mail that raises an alarm for its destination, ms; 0: never. */
  readonly waitingMs: number;
  /** Alarms go by mail to the partner's owner, or the postmaster. */
  readonly mail: boolean;
}

/** One thing wrong in the configuration: where, what, and what to write instead. Line and column count from 1. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  readonly remedy: string;
}

export type Loaded =
  | {
      readonly ok: true;
      readonly settings: Settings;
      /** What is accepted and yet worth a word: ended exceptions, defaults nobody means. */
      readonly warnings: readonly Problem[];
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };
