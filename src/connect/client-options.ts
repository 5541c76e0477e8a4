/** What one SMTP session is told by whoever opens it. */
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { OnLine } from "../mail/session.ts";
import type { Clock } from "../runtime/clock.ts";
import type { PreparedContext } from "./secure-contexts.ts";

export interface ClientOptions {
  /** Connected. */
  readonly socket: Socket;
  readonly host: string;
  readonly port: number;
  /** Our name in EHLO. */
  readonly name: string;
  readonly use: "never" | "if-offered" | "required";
  readonly implicitTls: boolean;
  readonly prepared: PreparedContext;
  /** Absent: none is sent, as for addresses. */
  readonly servername?: string;
  readonly commandTimeoutMs: number;
  readonly dataTimeoutMs: number;
  readonly clock: Clock;
  /** Called once, when the handshake is done and before anything is sent inside TLS. */
  readonly onSecured: (socket: TLSSocket) => void;
  /** Told every line, for a probe. Credentials are hidden; content is never sent on a session that is watched. */
  readonly onLine?: OnLine;
}
