/** What is signed or encrypted already: a claim is told by the header, the truth by the beginning of the body too. */
import { describe, expect, it } from "vitest";
import { recognise } from "../../../src/transform/smime/recognise.ts";

const header = (...lines: string[]) =>
  Buffer.from(`From: a@b.example\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`, "latin1");
const type = (value: string) =>
  header("MIME-Version: 1.0", `Content-Type: ${value}`, "Content-Transfer-Encoding: base64");

const CMS = (oid: string) => Buffer.from(`30820400${oid}a0820300`, "hex");
const SIGNED = CMS("06092a864886f70d010702");
const ENVELOPED = CMS("06092a864886f70d010703");
const AUTH_ENVELOPED = CMS("060b2a864886f70d0109100117");
const COMPRESSED = CMS("060b2a864886f70d0109100109");
const base64 = (der: Buffer) => Buffer.from((der.toString("base64").match(/.{1,10}/g) ?? []).join("\r\n"));

describe("the header claims", () => {
  it.each([
    ["nothing", header(), "plain"],
    ["plain text", type("text/plain"), "plain"],
    ["an S/MIME signature", type('multipart/signed; protocol="application/pkcs7-signature"; boundary=b'), "signed"],
    ["one of the old type", type("multipart/signed; protocol=application/x-pkcs7-signature; boundary=b"), "signed"],
    ["one in odd case", type('MULTIPART/Signed; PROTOCOL="Application/PKCS7-Signature"; boundary=b'), "signed"],
    ["one with a comment", type('multipart/signed (clear); protocol="application/pkcs7-signature"'), "signed"],
    [
      "one with a continued protocol",
      type("multipart/signed; protocol*0=application/; protocol*1=pkcs7-signature"),
      "signed",
    ],
    ["a PGP signature", type('multipart/signed; protocol="application/pgp-signature"; boundary=b'), "signed"],
    ["a signature of unknown kind", type("multipart/signed; protocol=application/x-mine; boundary=b"), "plain"],
    ["a signature without protocol", type("multipart/signed; boundary=b"), "plain"],
    [
      "two protocols",
      type("multipart/signed; protocol=application/pgp-signature; protocol=application/pkcs7-signature"),
      "plain",
    ],
    ["PGP encryption", type('multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b'), "encrypted"],
    ["encryption by another protocol", type("multipart/encrypted; protocol=application/x-mine; boundary=b"), "plain"],
    ["encryption of unknown kind", type("multipart/encrypted; boundary=b"), "plain"],
    ["enveloped-data", type('application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"'), "encrypted"],
    ["enveloped-data, old type, odd case", type("application/X-PKCS7-MIME; SMIME-Type=Enveloped-Data"), "encrypted"],
    ["authEnveloped-data", type("application/pkcs7-mime; smime-type=authEnveloped-data"), "encrypted"],
    ["signed-data", type("application/pkcs7-mime; smime-type=signed-data"), "signed"],
    ["no smime-type, so the weaker", type("application/pkcs7-mime; name=smime.p7m"), "signed"],
    ["smime.p7m as octet-stream [RFC 8551 §3.2.1]", type("application/octet-stream; name=SMIME.P7M"), "signed"],
    ["another file as octet-stream", type("application/octet-stream; name=a.bin"), "plain"],
    ["certificates only", type("application/pkcs7-mime; smime-type=certs-only; name=smime.p7c"), "plain"],
    ["certificates only, by name", type("application/pkcs7-mime; name=smime.p7c"), "plain"],
    ["compression", type("application/pkcs7-mime; smime-type=compressed-data; name=smime.p7z"), "plain"],
    ["old PGP, signed", type("application/pgp; x-action=signclear"), "signed"],
    ["old PGP, encrypted", type("application/pgp; format=text; x-action=encryptsign"), "encrypted"],
    [
      "two things",
      header("Content-Type: application/pkcs7-mime; smime-type=enveloped-data", "Content-Type: text/plain"),
      "plain",
    ],
    [
      "it inside of another field",
      header("Subject: x\r\n Content-Type: application/pkcs7-mime; smime-type=enveloped-data"),
      "plain",
    ],
  ])("%s", (_, header, kind) => expect(recognise(header).kind).toBe(kind));
});

describe("the beginning of the body shows", () => {
  it.each([
    ["enveloped-data", type("application/pkcs7-mime; smime-type=enveloped-data"), base64(ENVELOPED), "encrypted"],
    [
      "authEnveloped-data",
      type("application/pkcs7-mime; smime-type=authEnveloped-data"),
      base64(AUTH_ENVELOPED),
      "encrypted",
    ],
    [
      "encryption where the header is silent",
      type("application/pkcs7-mime; name=smime.p7m"),
      base64(ENVELOPED),
      "encrypted",
    ],
    ["encryption in an octet-stream", type("application/octet-stream; name=smime.p7m"), base64(ENVELOPED), "encrypted"],
    [
      "encryption in binary",
      header("Content-Type: application/pkcs7-mime; smime-type=enveloped-data", "Content-Transfer-Encoding: binary"),
      ENVELOPED,
      "encrypted",
    ],
    [
      "encryption of indefinite length",
      type("application/pkcs7-mime; smime-type=enveloped-data"),
      base64(Buffer.concat([Buffer.from("3080", "hex"), ENVELOPED.subarray(4)])),
      "encrypted",
    ],
    [
      "only a signature under the name of encryption",
      type("application/pkcs7-mime; smime-type=enveloped-data"),
      base64(SIGNED),
      "signed",
    ],
    [
      "compression under the name of encryption",
      type("application/pkcs7-mime; smime-type=enveloped-data"),
      base64(COMPRESSED),
      "plain",
    ],
    [
      "clear text under the name of encryption",
      type("application/pkcs7-mime; smime-type=enveloped-data"),
      Buffer.from("Dear Bert, the figures are"),
      "plain",
    ],
    [
      "clear text under the name of PGP",
      type("multipart/encrypted; protocol=application/pgp-encrypted; boundary=b"),
      Buffer.from("--b\r\n\r\nVersion: 1\r\n--b\r\n\r\nDear Bert"),
      "plain",
    ],
    [
      "a PGP message",
      type("multipart/encrypted; protocol=application/pgp-encrypted; boundary=b"),
      Buffer.from("--b\r\n\r\nVersion: 1\r\n--b\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nhQ"),
      "encrypted",
    ],
    ["an old PGP message", type("application/pgp"), Buffer.from("-----BEGIN PGP MESSAGE-----\r\n\r\nhQ"), "encrypted"],
    ["nothing", type("application/pkcs7-mime; smime-type=enveloped-data"), Buffer.alloc(0), "plain"],
  ])("%s", (_, header, beginning, kind) => expect(recognise(header, beginning).kind).toBe(kind));
});
