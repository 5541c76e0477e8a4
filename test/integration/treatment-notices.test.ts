/** The gateway's own notices leave as its mail does: signed where it leaves the house, and known to whom it is for. */
import { describe, expect, it } from "vitest";
import { newKey } from "../unit/transform/dkim-keys.ts";
import { fieldOf } from "../unit/transform/smime-mime-reader.ts";
import { count, createRig, delivered, dkimVerdicts, goodMx, letter, type Rig, submit } from "./treatment-rig.ts";

const GONE = { ...goodMx, recipients: { "gone@acme.test": "550 5.1.1 No such mailbox" } };

async function started(outbound: Record<string, unknown> = {}): Promise<Rig> {
  const rig = await createRig(GONE);
  await rig.configure({ outbound }, await rig.useKeys([newKey("rsa-sha256", "example.org", "r")]));
  await rig.site.start();
  return rig;
}

describe("a failure notice", () => {
  it("to a sender outside is signed like any mail of ours", async () => {
    const rig = await started();
    await submit(rig.site, { from: "otto@other.test", to: "gone@acme.test", content: letter() });
    const notice = await rig.got("otto@other.test");
    expect(fieldOf(notice, "from")).toContain("MAILER-DAEMON@relay.example.org");
    expect(await dkimVerdicts(notice, rig.dns)).toEqual(["example.org r rsa-sha256 pass"]);
    expect(await delivered(rig.site, "otto@")).toMatchObject({ dkim: { signatures: [{ selector: "r" }] } });
  });

  it("to our own domain stays in the house, and is not", async () => {
    const rig = await started();
    await submit(rig.site, { to: "gone@acme.test", content: letter() });
    expect(count(await rig.got("anna@example.org"), "dkim-signature")).toBe(0);
  });

  it("leaves unsigned rather than not at all, where its policy demands signatures that nobody can make", async () => {
    const rig = await createRig(GONE);
    await rig.site.partner("strict", {
      domains: ["other.test"],
      outbound: { dkim: "require", smime: { sign: "always" } },
    });
    await rig.site.start();
    await submit(rig.site, { from: "otto@other.test", to: "gone@acme.test", content: letter() });
    expect(count(await rig.got("otto@other.test"), "dkim-signature")).toBe(0);
    expect(await delivered(rig.site, "otto@")).toMatchObject({
      dkim: { signatures: [], unsigned: "its domain has no DKIM key in force" },
    });
  });

  it("names the Message-ID that its sender knows, though another one left", async () => {
    const rig = await started({ headers: { message_id: "rewrite" } });
    const content = letter().replace("<1@example.org>", "<1@pc.corp.example.org>");
    await submit(rig.site, { to: ["gone@acme.test", "bert@acme.test"], content });
    expect(fieldOf(await rig.got("bert@"), "message-id")).toMatch(/@relay\.example\.org>$/);
    expect(fieldOf(await rig.got("anna@example.org"), "references")).toBe("<1@pc.corp.example.org>");
  });
});
