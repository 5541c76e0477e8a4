import { describe, expect, it } from "vitest";
import { element } from "../../../src/mail/der.ts";
import { type Candidate, readCandidate } from "../../../src/transform/smime/candidate.ts";
import { findChain, type Trust } from "../../../src/transform/smime/chain.ts";
import {
  createMailAuthority,
  days,
  EMAIL_PROTECTION,
  type Held,
  type MailAuthority,
  type Person,
  selfSignedPerson,
  seq,
  USAGE,
} from "../../peers/mail-authority.ts";

const root = createMailAuthority("Root");
const ANNA: Person = { commonName: "Anna", emails: ["anna@acme.test"] };
const read = (held: Held) => readCandidate(held.der) as Candidate;
const trust = (roots: readonly Held[], intermediates: readonly Held[] = []): Trust => ({
  roots: roots.map(read),
  intermediates: intermediates.map(read),
  now: Date.now(),
});
const names = (path: readonly Candidate[]) => path.map(({ subject }) => subject.replace("CN=", ""));

/** `Root` → … → below by below. */
function line(count: number, over: Person = {}): MailAuthority[] {
  const all = [root];
  for (let at = 1; at <= count; at++) all.push((all.at(-1) as MailAuthority).below(`Level ${at}`, over));
  return all;
}

describe("a chain is found", () => {
  it.each([
    ["straight from a root", 0, ["Anna", "Root"]],
    ["over an intermediate", 1, ["Anna", "Level 1", "Root"]],
    ["over six", 6, ["Anna", "Level 6", "Level 5", "Level 4", "Level 3", "Level 2", "Level 1", "Root"]],
  ])("%s", async (_, count, path) => {
    const all = line(count);
    const anna = (all.at(-1) as MailAuthority).issue(ANNA);
    const found = await findChain(read(anna), trust([root], all.slice(1)));
    expect(found.kind === "trusted" && names(found.path)).toEqual(path);
  });
  it.each(["rsa", "ec", "ed25519"] as const)("with %s keys", async (keyType) => {
    const authority = createMailAuthority("Root", { keyType });
    expect(await findChain(read(authority.issue(ANNA)), trust([authority]))).toMatchObject({ kind: "trusted" });
  });
  it("beside a CA of the same name, whose signature it is not", async () => {
    const twin = createMailAuthority("Root");
    expect(await findChain(read(root.issue(ANNA)), trust([twin, root]))).toMatchObject({ kind: "trusted" });
  });
  it("around cross certificates that lead in circles", async () => {
    const [a, b] = [createMailAuthority("A"), createMailAuthority("B")];
    const crossed = [
      a.issue({ commonName: "B", ca: true, key: b.key }),
      b.issue({ commonName: "A", ca: true, key: a.key }),
      root.issue({ commonName: "B", ca: true, key: b.key }),
    ];
    expect(await findChain(read(a.issue(ANNA)), trust([root], crossed))).toMatchObject({ kind: "trusted" });
  });
  it("from a certificate that is trusted itself", async () => {
    const anna = selfSignedPerson(ANNA);
    expect(await findChain(read(anna), trust([anna]))).toMatchObject({ kind: "trusted" });
  });
});

describe("no chain is found", () => {
  const below = (over: Person) => {
    const intermediate = root.below("Below", over);
    return { leaf: intermediate.issue(ANNA), roots: [root], intermediates: [intermediate] };
  };
  const endless = line(7);
  const narrow = createMailAuthority("Narrow", { pathLength: 0 });
  const narrowed = narrow.below("Below");
  const ended = createMailAuthority("Ended", { notBefore: days(-9), notAfter: new Date("2026-01-31T12:00:00Z") });
  const signs = root.issue({ commonName: "Server", usage: [USAGE.digitalSignature], ca: true });
  const fake = (issuer: Held, name: string) => createMailAuthority(name, { key: issuer.key }).issue(ANNA);
  const constraints = { id: "2.5.29.30", value: seq(element(0xa0, seq(element(0x81, Buffer.from("acme.test"))))) };
  const person = root.issue({ commonName: "Bob", emails: ["bob@acme.test"] });

  it.each([
    ["to a stranger", { leaf: createMailAuthority("Stranger").issue(ANNA), roots: [root] }, "CN=Stranger, whom nobody"],
    [
      "to a stranger of the root's name",
      { leaf: createMailAuthority("Root").issue(ANNA), roots: [root] },
      "not signed by CN=Root",
    ],
    ["from a self-signed one", { leaf: selfSignedPerson(ANNA), roots: [root] }, "whom nobody"],
    ["without the intermediate", { ...below({}), intermediates: [] }, "CN=Below, whom nobody"],
    ["over what is no CA", { leaf: fake(person, "Bob"), roots: [root], intermediates: [person] }, "which is no CA"],
    [
      "over a key that may not sign certificates",
      { leaf: fake(signs, "Server"), roots: [root], intermediates: [signs] },
      "may not sign certificates",
    ],
    [
      "over an intermediate that has ended",
      below({ notBefore: days(-9), notAfter: days(-1) }),
      "CN=Below, which ended on",
    ],
    ["over one that is not valid yet", below({ notBefore: days(1), notAfter: days(9) }), "not valid before"],
    ["to a root that has ended", { leaf: ended.issue(ANNA), roots: [ended] }, "ended on 2026-01-31"],
    [
      "with SHA-1 on the certificate",
      { leaf: root.issue({ ...ANNA, hash: "sha1" }), roots: [root] },
      "a hash that proves nothing",
    ],
    ["with SHA-1 on an intermediate", below({ hash: "sha1" }), "a hash that proves nothing"],
    [
      "longer than a root permits [RFC 5280 §4.2.1.9]",
      { leaf: narrowed.issue(ANNA), roots: [narrow], intermediates: [narrowed] },
      "further below CN=Narrow",
    ],
    [
      "longer than eight",
      { leaf: (endless[7] as MailAuthority).issue(ANNA), roots: [root], intermediates: endless.slice(1) },
      "whom nobody",
    ],
    ["over a CA for servers only", below({ purposes: ["1.3.6.1.5.5.7.3.1"] }), "not for e-mail"],
    ["over a CA with name constraints", below({ more: [{ ...constraints, critical: true }] }), "not understood"],
  ] as [string, { leaf: Held; roots: Held[]; intermediates?: Held[] }, string][])(
    "%s",
    async (_, { leaf, roots, intermediates }, words) => {
      const found = await findChain(read(leaf), trust(roots, intermediates));
      expect(found).toEqual({ kind: "untrusted", why: expect.stringContaining(words) });
    },
  );

  it("by way of a changed certificate", async () => {
    const { der } = root.issue(ANNA);
    const changed = Buffer.from(der.toString("latin1").replaceAll("anna@acme.test", "hans@acme.test"), "latin1");
    const found = await findChain(readCandidate(changed) as Candidate, trust([root]));
    expect(found).toEqual({ kind: "untrusted", why: expect.stringContaining("not signed by") });
  });

  it("among hundreds of possible issuers, within a bound", async () => {
    const many = Array.from({ length: 200 }, () => root.below("Below"));
    const leaf = createMailAuthority("Below").issue(ANNA);
    expect(await findChain(read(leaf), trust([root], many))).toMatchObject({ kind: "untrusted" });
  });

  it("but a CA for e-mail among others is one", async () => {
    const { leaf, intermediates } = below({ purposes: [EMAIL_PROTECTION, "1.3.6.1.5.5.7.3.2"] });
    expect(await findChain(read(leaf), trust([root], intermediates))).toMatchObject({ kind: "trusted" });
  });
});
