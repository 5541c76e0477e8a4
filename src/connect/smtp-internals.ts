/**
 * The members of nodemailer's SMTPConnection (10.6) that its published types leave out and smtp-session.ts builds on.
 * test/integration/session.test.ts pins how they behave; read it again before another version is taken.
 */
import type { Socket } from "node:net";
import type { Readable } from "node:stream";

export interface Internals {
  _socket: Socket;
  _destroyed: boolean;
  _remainder: string;
  _responseQueue: string[];
  _supportedAuth: string[];
  secure: boolean;
  _onData(chunk: Buffer): void;
  _onError(error: Error & { code?: string }, type: string, data: string | false, command: string): void;
  _sendCommand(line: string, logged?: string): void;
  _upgradeConnection(done: (error: Error | null, secured?: boolean) => void): void;
  _actionGreeting(raw: string): void;
  _actionEHLO(raw: string): void;
  _actionSTARTTLS(raw: string): void;
  _actionMAIL(raw: string, done: Done): void;
  _actionRCPT(raw: string, done: Done): void;
  _actionDATA(raw: string, done: Done): void;
  _actionSMTPStream(raw: string, done: Done): void;
  _createSendStream(done: Done): Readable;
}

export type Done = (error: Error | null) => void;
