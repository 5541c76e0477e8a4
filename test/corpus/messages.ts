/**
 * The corpus: messages as they are met, to be put through everything that touches mail. Made by code and the same in
 * every run; as accept/ lets them through: CRLF throughout, header lines of at most 998 octets, no NUL in the header.
 */
import type { CorpusMessage } from "./build.ts";
import { oddHeaderMessages } from "./odd-headers.ts";
import { sealedMessages } from "./sealed.ts";
import { structureMessages } from "./structure.ts";
import { textMessages } from "./text.ts";
import { traceMessages } from "./traces.ts";

export type { CorpusMessage };

export const messages: readonly CorpusMessage[] = [
  ...textMessages,
  ...structureMessages,
  ...sealedMessages,
  ...traceMessages,
  ...oddHeaderMessages,
];
