/** application/pkcs7-mime around a CMS object (RFC 8551 §3.2): the header is known before the first octet is made. */
import { base64Lines } from "./base64-lines.ts";
import type { Entity } from "./entity.ts";

export type SmimeType = "signed-data" | "enveloped-data" | "authEnveloped-data";

export function pkcs7Entity(smimeType: SmimeType, cms: AsyncIterable<Buffer>): Entity {
  const fields = [
    `Content-Type: application/pkcs7-mime; smime-type=${smimeType};`,
    '\tname="smime.p7m"',
    "Content-Transfer-Encoding: base64",
    'Content-Disposition: attachment; filename="smime.p7m"',
  ];
  return { fields: Buffer.from(fields.map((line) => `${line}\r\n`).join("")), body: base64Lines(cms) };
}
