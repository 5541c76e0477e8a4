/**
 * multipart/signed around an entity (RFC 1847 §2.1, RFC 8551 §3.5.3). What is hashed is what is sent, octet for octet: the
 * line end before the delimiter belongs to the delimiter, whether the entity ends in one of its own or not.
 */
import { createHash } from "node:crypto";
import { base64Lines } from "./base64-lines.ts";
import { type Entity, octetsOf } from "./entity.ts";

export interface DetachedSigning {
  /** For the reader (RFC 8551 §3.5.3.2): "sha-256". */
  readonly micalg: string;
  /** For node:crypto: "sha256". */
  readonly hash: string;
  /** CMS SignedData without content, over the digest of the entity. */
  readonly sign: (digest: Buffer) => Promise<Buffer>;
}

const SIGNATURE_FIELDS = [
  'Content-Type: application/pkcs7-signature; name="smime.p7s"',
  "Content-Transfer-Encoding: base64",
  'Content-Disposition: attachment; filename="smime.p7s"',
];

/** `boundary` must stand nowhere in the entity: make it of random octets. */
export function signedEntity(
  entity: Entity & { readonly sevenBit: boolean },
  signing: DetachedSigning,
  boundary: string,
): Entity {
  const fields = [
    'Content-Type: multipart/signed; protocol="application/pkcs7-signature";',
    `\tmicalg=${signing.micalg}; boundary="${boundary}"`,
    ...(entity.sevenBit ? [] : ["Content-Transfer-Encoding: 8bit"]),
  ];
  return { fields: octets(fields), body: bodyOf(entity, signing, boundary) };
}

async function* bodyOf(entity: Entity, signing: DetachedSigning, boundary: string): AsyncIterable<Buffer> {
  const hash = createHash(signing.hash);
  yield octets([`--${boundary}`]);
  for await (const chunk of octetsOf(entity)) {
    hash.update(chunk);
    yield chunk;
  }
  yield octets(["", `--${boundary}`, ...SIGNATURE_FIELDS, ""]);
  yield* base64Lines(once(await signing.sign(hash.digest())));
  yield octets(["", `--${boundary}--`]);
}

async function* once(octets: Buffer): AsyncIterable<Buffer> {
  yield octets;
}

function octets(lines: readonly string[]): Buffer {
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(""), "latin1");
}
