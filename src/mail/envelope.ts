/** The SMTP envelope (RFC 5321 §2.3.1): reverse-path, forward-paths and their parameters. */
import type { Mailbox } from "./mailbox.ts";

export interface Envelope {
  /** null is the null reverse-path `<>`. */
  readonly reversePath: Mailbox | null;
  readonly mail: MailParameters;
  readonly recipients: readonly Recipient[];
}

export interface MailParameters {
  readonly body: "7BIT" | "8BITMIME";
  /** RFC 6531 */
  readonly smtpUtf8: boolean;
  /** RFC 8689 */
  readonly requireTls: boolean;
  /** RFC 3461 §4.3 */
  readonly ret?: "FULL" | "HDRS";
  /** RFC 3461 §4.4, still xtext-encoded. */
  readonly envid?: string;
}

export interface Recipient {
  /** 0-based position in the transaction; names the recipient for the life of the message. */
  readonly position: number;
  readonly mailbox: Mailbox;
  /** RFC 3461 §4.1: NEVER, or any of SUCCESS, FAILURE, DELAY. Absent: FAILURE (and perhaps DELAY). */
  readonly notify?: readonly ("NEVER" | "SUCCESS" | "FAILURE" | "DELAY")[];
  /** RFC 3461 §4.2, `addr-type;xtext`, still encoded. */
  readonly orcpt?: string;
}
