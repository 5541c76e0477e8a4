import { expect, it } from "vitest";
import { opportunistic } from "../../../src/mail/tls-requirement.ts";
import { admit } from "../../../src/verify/gate.ts";
import { DAY, evidence, leaf, mandatory, NOW, pkix, session } from "./evidence-rows.ts";

it("admits a session that proves what is demanded, for the one delivery", () => {
  const plain = session({ evidence: evidence() });
  expect(admit(plain, mandatory(pkix), "delivery-1", NOW)).toEqual({
    verified: {
      session: plain,
      deliveryId: "delivery-1",
      verdict: { authenticatedBy: "private-ca", matched: "mx.acme.example", trusted: false },
    },
    verdict: { authenticatedBy: "private-ca", matched: "mx.acme.example", trusted: false },
  });
});

it("admits a session in clear only where nothing is demanded", () => {
  expect(admit(session(), opportunistic, "delivery-1", NOW)).toMatchObject({ verdict: { trusted: false } });
  expect(admit(session(), mandatory(), "delivery-1", NOW)).toMatchObject({ reason: "starttls-not-supported" });
});

it("lets the mail wait, and never bounce, when a session proves too little", () => {
  const unnamed = session({ evidence: evidence({ chain: [leaf({ names: [] })] }) });
  expect(admit(unnamed, mandatory(pkix), "delivery-1", NOW)).toMatchObject({
    kind: "deferred",
    reason: "certificate-host-mismatch",
    status: "4.7.5",
  });
});

it("judges a reused session by the time of the delivery, not of the handshake", () => {
  const reused = session({ evidence: evidence(), reused: true });
  expect(admit(reused, mandatory(pkix), "delivery-1", NOW)).toHaveProperty("verified");
  expect(admit(reused, mandatory(pkix), "delivery-2", NOW + 2 * DAY)).toMatchObject({ reason: "certificate-expired" });
});
