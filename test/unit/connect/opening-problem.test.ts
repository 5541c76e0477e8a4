import { expect, it } from "vitest";
import { type Break, openingProblem } from "../../../src/connect/opening-problem.ts";

const alert = (name: string): Partial<Break> => ({ cause: "closed", code: `ERR_SSL_${name}` });
const reply = (code: number): Partial<Break> => ({ cause: "reply", reply: { code, text: "No" } });

it.each<[string, Break["stage"], Partial<Break>, string]>([
  ["no greeting in time", "greeting", { cause: "timeout" }, "connection-lost"],
  ["a drop before the greeting", "greeting", { cause: "closed" }, "connection-lost"],
  ["turned away [RFC 5321 §3.1]", "greeting", reply(554), "connection-failed"],
  ["busy", "greeting", reply(421), "connection-failed"],
  ["another protocol", "greeting", { cause: "reply-malformed" }, "connection-lost"],
  ["EHLO refused", "ehlo", reply(421), "connection-failed"],
  ["an endless EHLO reply", "ehlo", { cause: "reply-too-long" }, "connection-lost"],
  ["STARTTLS not offered", "ehlo", { cause: "not-offered" }, "starttls-not-supported"],
  ["STARTTLS refused for now [RFC 3207 §4]", "starttls", reply(454), "starttls-not-supported"],
  ["STARTTLS refused", "starttls", reply(502), "starttls-not-supported"],
  ["silence at STARTTLS", "starttls", { cause: "timeout" }, "validation-failure"],
  ["a drop at STARTTLS", "starttls", { cause: "closed", code: "ECONNRESET" }, "validation-failure"],
  ["plain text behind the 220", "starttls", { cause: "injected" }, "validation-failure"],
  ["silence in the handshake", "handshake", { cause: "timeout" }, "validation-failure"],
  ["a drop in the handshake", "handshake", { cause: "closed", code: "ECONNRESET" }, "validation-failure"],
  ["a certificate that cannot be read", "handshake", { cause: "unreadable" }, "validation-failure"],
  ["alert 10", "handshake", alert("SSL/TLS_ALERT_UNEXPECTED_MESSAGE"), "validation-failure"],
  ["alert 40", "handshake", alert("SSL/TLS_ALERT_HANDSHAKE_FAILURE"), "tls-parameters-too-weak"],
  ["alert 70", "handshake", alert("TLSV1_ALERT_PROTOCOL_VERSION"), "tls-parameters-too-weak"],
  ["alert 71", "handshake", alert("TLSV1_ALERT_INSUFFICIENT_SECURITY"), "tls-parameters-too-weak"],
  ["a version we do not take", "handshake", alert("UNSUPPORTED_PROTOCOL"), "tls-parameters-too-weak"],
  ["a key too small for us", "handshake", alert("EE_KEY_TOO_SMALL"), "tls-parameters-too-weak"],
  ["alert 42", "handshake", alert("SSL/TLS_ALERT_BAD_CERTIFICATE"), "client-certificate-demanded"],
  [
    "alert 116, after a TLS 1.3 handshake",
    "ehlo2",
    alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"),
    "client-certificate-demanded",
  ],
  [
    "alert 116, before the greeting in implicit TLS",
    "greeting",
    alert("TLSV13_ALERT_CERTIFICATE_REQUIRED"),
    "client-certificate-demanded",
  ],
  ["plain text instead of TLS", "handshake", alert("WRONG_VERSION_NUMBER"), "validation-failure"],
  ["EHLO refused inside TLS", "ehlo2", reply(450), "connection-failed"],
  ["a drop after the handshake", "ehlo2", { cause: "closed" }, "connection-lost"],
])("%s", (_, stage, bent, reason) => {
  const found = openingProblem("mx.acme.example", { stage, cause: "closed", ...bent });
  expect(found).toMatchObject({ kind: "deferred", reason, status: expect.stringMatching(/^4\./) });
  expect(found.detail).toMatch(/^mx\.acme\.example /);
});

it("quotes the peer", () => {
  const found = openingProblem("mx.acme.example", {
    stage: "starttls",
    cause: "reply",
    reply: { code: 454, text: "Later" },
  });
  expect(found).toMatchObject({ detail: "mx.acme.example refuses STARTTLS: 454 Later", smtp: { code: 454 } });
});

it("has a sentence for an answer that cannot be read", () => {
  expect(openingProblem("mx.acme.example", { stage: "ehlo", cause: "reply" }).detail).toBe(
    "mx.acme.example refuses EHLO: an answer without a code",
  );
});
