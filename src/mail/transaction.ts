/** A message on its way in: what accept/ hands to the spine while the body is still arriving. */
import type { Client } from "./delivery.ts";
import type { Envelope } from "./envelope.ts";

/** A transaction whose header is complete and whose body is still arriving; accept/ makes it. */
export interface Transaction {
  readonly envelope: Envelope;
  readonly client: Client;
  readonly listener: string;
  /** Our id of the session it arrives on. */
  readonly session: string;
  /** The whole header block, empty line included. */
  readonly header: Buffer;
  /** Ends normally only after CRLF.CRLF; throws when the content is refused or the client is gone. */
  readonly body: AsyncIterable<Buffer>;
}
