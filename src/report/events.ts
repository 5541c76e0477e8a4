/** The closed map of events to their fields: one event, one call. */
import type { Client } from "../mail/delivery.ts";

export interface Events {
  readonly "message.accepted": {
    readonly queueId: string;
    readonly messageId: string | undefined;
    readonly listener: string;
    readonly client: Client;
    readonly sender: string;
    readonly fromDomain: string | undefined;
    readonly recipients: readonly string[];
    readonly size: number;
    readonly partners: readonly string[];
    readonly rules: readonly string[];
    readonly requireTls: boolean;
  };
  readonly error: { readonly kind: string; readonly detail: string };
}

export type Emit = <K extends keyof Events>(event: K, fields: Events[K]) => void;
