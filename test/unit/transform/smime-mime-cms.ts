/** Stands for the CMS side: what it makes shows what it was given, so that a test can look inside. */
import type { Cms, WrapDeps } from "../../../src/transform/smime/wrap.ts";

export interface FakeSigner {
  readonly name: string;
}

const info = (oid: string) => Buffer.from(`30820400${oid}a0820300`, "hex");
export const SIGNED_DATA = info("06092a864886f70d010702");
export const ENVELOPED_DATA = info("06092a864886f70d010703");

export const fakeCms: Cms<FakeSigner, string> = {
  micalg: () => "sha-256",
  hash: () => "sha256",
  signDetached: async (digest, { name }, { now }) => Buffer.concat([Buffer.from(`${name} ${now} `), digest]),
  signOpaque: (content) => prefixed(SIGNED_DATA, content),
  envelope: (content, recipients) =>
    prefixed(Buffer.concat([ENVELOPED_DATA, Buffer.from(`for ${recipients.join("+")}:`)]), content),
  envelopeType: (recipients) => (recipients.includes("old") ? "enveloped-data" : "authEnveloped-data"),
};

export const fakeDeps: WrapDeps<FakeSigner, string> = {
  cms: fakeCms,
  now: 1_795_000_000_000,
  random: (length) => Buffer.alloc(length, 0xab),
};

async function* prefixed(prefix: Buffer, content: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  yield prefix;
  yield* content;
}
