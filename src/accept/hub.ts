/**
 * What smtp-server's connections expect around them: options and the hook for AUTH. It never listens and holds no TLS
 * context of its own (smtp-server's would be made with a published key); front-door.ts accepts, handshake.ts encrypts.
 */
import {
  SMTPServer,
  type SMTPServerAuthentication,
  type SMTPServerAuthenticationResponse,
  type SMTPServerSession,
} from "smtp-server";

export type AuthDone = (error: Error | null | undefined, response?: SMTPServerAuthenticationResponse) => void;
export type Authenticate = (auth: SMTPServerAuthentication, done: AuthDone) => void;

export class Hub extends SMTPServer {
  #authenticators = new WeakMap<SMTPServerSession, Authenticate>();

  constructor() {
    super({
      logger: false,
      authOptional: true,
      authMethods: ["PLAIN", "LOGIN"],
      hideENHANCEDSTATUSCODES: false,
      disableReverseLookup: true,
      disabledCommands: ["WIZ", "SHELL", "KILL", "VRFY", "HELP", "LHLO"],
    });
  }

  override updateSecureContext(): void {}

  override onConnect(_session: SMTPServerSession, done: (error?: Error | null) => void): void {
    done();
  }

  override onSecure(_socket: unknown, _session: SMTPServerSession, done: (error?: Error | null) => void): void {
    done();
  }

  override onAuth(auth: SMTPServerAuthentication, session: SMTPServerSession, done: AuthDone): void {
    const authenticate = this.#authenticators.get(session);
    if (authenticate === undefined) done(null, {});
    else authenticate(auth, done);
  }

  authenticateWith(session: SMTPServerSession, authenticate: Authenticate): void {
    this.#authenticators.set(session, authenticate);
  }
}
