import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createOutsideHttp, isPublic } from "../../src/connect/outside-http.ts";
import { createRevocation, type RevocationLimits, type RevocationQuestion } from "../../src/connect/revocation.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { type HttpServer, startHttpServer } from "../peers/http-server.ts";
import { createMailAuthority, DAY_MS, days, type Held, OCSP_SIGNING, type Person } from "../peers/mail-authority.ts";

const issuer = createMailAuthority("Acme CA", { keyType: "rsa" });
const stranger = createMailAuthority("Acme CA");
let server: HttpServer;
beforeEach(async () => void (server = await startHttpServer()));
afterEach(() => server[Symbol.asyncDispose]());

function rig(options: { allowPrivate?: boolean; limits?: Partial<RevocationLimits> } = {}) {
  let ahead = 0;
  const resolved: string[] = [];
  const ask = createOutsideHttp({
    clock: systemClock,
    resolveAddresses: (host) => {
      resolved.push(host);
      return Promise.resolve({ addresses: ["127.0.0.1"] });
    },
    allowPrivate: () => options.allowPrivate ?? true,
  });
  const clock = { now: () => systemClock.now() + ahead, sleep: systemClock.sleep };
  const check = createRevocation({ clock, ask, ...(options.limits && { limits: options.limits }) });
  return { check, resolved, later: (ms: number) => void (ahead += ms) };
}

const about = (held: Held, over: Partial<RevocationQuestion> = {}): RevocationQuestion => ({
  certificate: held.der,
  issuer: issuer.x509,
  authority: false,
  ocsp: [],
  crl: [],
  ...over,
});
const anna = issuer.issue({ commonName: "Anna" });
const bob = issuer.issue({ commonName: "Bob" });
const responder = (over: Person = {}) => issuer.issue({ commonName: "Responder", purposes: [OCSP_SIGNING], ...over });

/** Answers OCSP below /ocsp and the list below /crl. */
function serve(ocsp: Buffer | number, crl: Buffer | number = 404): void {
  server.answer(({ path }, response) => {
    const body = path.startsWith("/ocsp") ? ocsp : crl;
    if (typeof body === "number") response.writeHead(body).end();
    else response.end(body);
  });
}

const ocspUrl = () => ({ ocsp: [`${server.url}/ocsp`] });
const crlUrl = () => ({ crl: [`${server.url}/crl`] });

describe("OCSP", () => {
  it.each([
    ["good, signed by the issuer", issuer.ocsp(anna), { kind: "good" }],
    ["revoked", issuer.ocsp(anna, { status: "revoked" }), { kind: "revoked" }],
    [
      "good, by a responder of the issuer [RFC 6960 §4.2.2.2]",
      issuer.ocsp(anna, { responder: responder() }),
      { kind: "good" },
    ],
    [
      "good, by a responder with an EC key",
      issuer.ocsp(anna, { responder: responder({ keyType: "ec" }) }),
      { kind: "good" },
    ],
    [
      "good, without an end, of an hour ago [RFC 6960 §2.4]",
      issuer.ocsp(anna, { nextUpdate: "absent", thisUpdate: days(-1 / 24) }),
      { kind: "good" },
    ],
  ])("says %s", async (_, body, expected) => {
    serve(body);
    expect(await rig().check(about(anna, ocspUrl()))).toMatchObject(expected);
    expect(server.asked[0]).toMatchObject({
      method: "POST",
      headers: { "content-type": "application/ocsp-request" },
    });
  });

  it.each([
    ["that does not know the certificate", issuer.ocsp(anna, { status: "unknown" }), "does not know"],
    ["signed by a stranger", issuer.ocsp(anna, { signer: stranger.key }), "signed by nobody"],
    ["signed with SHA-1", issuer.ocsp(anna, { hash: "sha1" }), "signed by nobody"],
    [
      "by a certificate of the issuer for something else",
      issuer.ocsp(anna, { responder: responder({ purposes: [] }) }),
      "signed by nobody",
    ],
    [
      "by a responder of another CA of the same name",
      issuer.ocsp(anna, { responder: stranger.issue({ purposes: [OCSP_SIGNING] }) }),
      "signed by nobody",
    ],
    [
      "by a responder whose certificate has ended",
      issuer.ocsp(anna, { responder: responder({ notBefore: days(-9), notAfter: days(-2) }) }),
      "signed by nobody",
    ],
    [
      "by a responder certified with SHA-1",
      issuer.ocsp(anna, { responder: responder({ hash: "sha1" }) }),
      "signed by nobody",
    ],
    ["that has ended", issuer.ocsp(anna, { nextUpdate: days(-0.1) }), "too old"],
    ["of the future", issuer.ocsp(anna, { thisUpdate: days(1), nextUpdate: days(2) }), "of the future"],
    ["without an end, of two days ago", issuer.ocsp(anna, { nextUpdate: "absent", thisUpdate: days(-2) }), "too old"],
    ["about another certificate", issuer.ocsp(anna, { instead: bob }), "does not speak of"],
    ["cut short", issuer.ocsp(anna).subarray(0, -9), "is no OCSP answer"],
    ["with a word more at its end", Buffer.concat([issuer.ocsp(anna), Buffer.of(0)]), "is no OCSP answer"],
    ["that is none", Buffer.from("<html>captive portal</html>"), "is no OCSP answer"],
    ["that says try later", Buffer.of(0x30, 3, 0x0a, 1, 3), "try later"],
    ["of nothing", Buffer.of(), "is no OCSP answer"],
    ["with an error of the server", 503, "answered 503"],
    ["too long", Buffer.alloc(70_000), "more than 65536"],
  ])("an answer %s counts as none", async (_, body, words) => {
    serve(body);
    const answer = await rig().check(about(anna, ocspUrl()));
    expect(answer).toEqual({ kind: "unreachable", detail: expect.stringContaining(words) });
  });

  it("is asked once for as long as the answer holds, and anew after it [RFC 5019 §6]", async () => {
    serve(issuer.ocsp(anna, { nextUpdate: days(0.5) }));
    const { check, later } = rig();
    await check(about(anna, ocspUrl()));
    later(0.4 * DAY_MS);
    await check(about(anna, ocspUrl()));
    expect(server.asked.length).toBe(1);
    later(0.2 * DAY_MS);
    expect(await check(about(anna, ocspUrl()))).toMatchObject({ kind: "unreachable" }); // it is too old now
    expect(server.asked.length).toBe(2);
  });

  it("is asked again after a day even where its answer holds for a year", async () => {
    serve(issuer.ocsp(anna, { nextUpdate: days(365) }));
    const { check, later } = rig();
    await check(about(anna, ocspUrl()));
    later(DAY_MS + 1000);
    await check(about(anna, ocspUrl()));
    expect(server.asked.length).toBe(2);
  });

  it("that fails is left alone for five minutes", async () => {
    serve(503);
    const { check, later } = rig();
    await check(about(anna, ocspUrl()));
    later(290_000);
    await check(about(anna, ocspUrl()));
    expect(server.asked.length).toBe(1);
    later(20_000);
    serve(issuer.ocsp(anna));
    expect(await check(about(anna, ocspUrl()))).toEqual({ kind: "good" });
  });

  it("that is silent is given up in time", async () => {
    server.answer(() => undefined);
    const { check } = rig({ limits: { timeoutMs: 50 } });
    const answer = await check(about(anna, ocspUrl()));
    expect(answer).toEqual({ kind: "unreachable", detail: expect.stringContaining("did not answer within 50 ms") });
  });

  it("that nobody listens for is unreachable", async () => {
    const closed = createServer();
    await new Promise<void>((resolve) => closed.listen(0, "127.0.0.1", resolve));
    const { port } = closed.address() as { port: number };
    await new Promise((resolve) => closed.close(resolve));
    const answer = await rig().check(about(anna, { ocsp: [`http://127.0.0.1:${port}/`] }));
    expect(answer).toEqual({ kind: "unreachable", detail: expect.stringContaining("ECONNREFUSED") });
  });
});

describe("a revocation list", () => {
  it.each([
    ["without entries", () => issuer.crl([]), { kind: "good" }],
    ["with others only", () => issuer.crl([bob]), { kind: "good" }],
    ["with this one", () => issuer.crl([bob, anna]), { kind: "revoked" }],
    ["with this one after twenty thousand others", () => issuer.crl([anna], { padding: 20_000 }), { kind: "revoked" }],
    ["as PEM", () => pem(issuer.crl([anna])), { kind: "revoked" }],
    [
      "for the place that the certificate names",
      () => issuer.crl([anna], { place: `${server.url}/crl` }),
      { kind: "revoked" },
    ],
  ])("%s is believed", async (_, list, expected) => {
    serve(404, list());
    expect(await rig().check(about(anna, crlUrl()))).toMatchObject(expected);
  });

  it.each([
    ["that has ended", () => issuer.crl([], { nextUpdate: days(-0.1) }), "too old"],
    ["without an end [RFC 5280 §5.1.2.5]", () => issuer.crl([], { nextUpdate: "absent" }), "how long it holds"],
    ["of the future", () => issuer.crl([], { thisUpdate: days(1) }), "of the future"],
    ["signed by a stranger", () => stranger.crl([]), "not signed by the issuer"],
    ["signed with SHA-1", () => issuer.crl([], { hash: "sha1" }), "not signed by the issuer"],
    ["of another issuer", () => createMailAuthority("Other CA").crl([]), "another issuer"],
    ["of changes [RFC 5280 §5.2.4]", () => issuer.crl([], { delta: true }), "changes only"],
    [
      "for other certificates of the issuer [RFC 5280 §5.2.5]",
      () => issuer.crl([], { place: "http://ca.test/part2" }),
      "for other certificates",
    ],
    ["cut short", () => issuer.crl([bob]).subarray(0, -1), "no revocation list"],
    ["that is none", () => Buffer.from("nothing"), "no revocation list"],
    ["too long", () => Buffer.alloc(3_000_000), "more than 2000000"],
  ])("%s counts as none", async (_, list, words) => {
    serve(404, list());
    const { check } = rig({ limits: { listOctets: 2_000_000 } });
    const answer = await check(about(anna, crlUrl()));
    expect(answer).toEqual({ kind: "unreachable", detail: expect.stringContaining(words) });
  });

  it("is asked where OCSP gives no answer", async () => {
    serve(503, issuer.crl([anna]));
    expect(await rig().check(about(anna, { ...ocspUrl(), ...crlUrl() }))).toMatchObject({ kind: "revoked" });
    expect(server.asked.map(({ path }) => path)).toEqual(["/ocsp", "/crl"]);
  });

  it("is fetched once for all certificates of its issuer, also by those who ask at the same time", async () => {
    serve(404, issuer.crl([anna]));
    const { check } = rig();
    const both = await Promise.all([check(about(anna, crlUrl())), check(about(bob, crlUrl()))]);
    expect(both).toMatchObject([{ kind: "revoked" }, { kind: "good" }]);
    await check(about(issuer.issue({}), crlUrl()));
    expect(server.asked.length).toBe(1);
  });

  it("that is slow goes on arriving for those who ask later", async () => {
    const list = issuer.crl([anna]);
    let send = (): void => undefined;
    server.answer((_, response) => {
      response.write(list.subarray(0, 10));
      send = () => void response.end(list.subarray(10));
    });
    const { check } = rig({ limits: { timeoutMs: 50 } });
    const first = await check(about(anna, crlUrl()));
    expect(first).toEqual({ kind: "unreachable", detail: expect.stringContaining("did not arrive within 50 ms") });
    send();
    await expect.poll(() => check(about(anna, crlUrl()))).toMatchObject({ kind: "revoked" });
    expect(server.asked.length).toBe(1);
  });
});

it("says so of a certificate that names nobody to ask", async () => {
  expect(await rig().check(about(anna))).toEqual({ kind: "silent" });
});

describe("where certificates of outsiders lead", () => {
  it.each([
    ["an address of our own networks", () => server.url, "private network"],
    ["a name with such an address", () => server.url.replace("127.0.0.1", "inside.test"), "private network"],
    ["a port of another service", () => "http://ca.test:25/", "port 25"],
    ["a file", () => "file:///etc/passwd", "no address for HTTP"],
    ["LDAP", () => "ldap://ca.test/cn=crl", "no address for HTTP"],
    ["a password", () => "http://a:b@ca.test/", "carries a password"],
    ["nowhere", () => "::", "no readable address"],
  ])("is not followed to %s", async (_, url, words) => {
    const { check } = rig({ allowPrivate: false });
    const answer = await check(about(anna, { crl: [url()] }));
    expect(answer).toEqual({ kind: "unreachable", detail: expect.stringContaining(words) });
    expect(server.asked).toEqual([]);
  });

  it("is asked by the name in the certificate, at the address that was checked", async () => {
    serve(404, issuer.crl([]));
    const { check, resolved } = rig();
    const url = server.url.replace("127.0.0.1", "crl.test");
    expect(await check(about(anna, { crl: [`${url}/crl`] }))).toEqual({ kind: "good" });
    expect(resolved).toEqual(["crl.test"]);
    expect(server.asked[0]?.headers.host).toBe(url.slice("http://".length));
  });

  it.each([
    ["elsewhere by HTTP", "/crl", "good"],
    ["to another scheme", "https://127.0.0.1/crl", "unreachable"],
    ["to itself", "/moved", "unreachable"],
  ])("is followed from a list that moved %s: %s → %s", async (_, location, kind) => {
    server.answer(({ path }, response) => {
      if (path === "/crl") response.end(issuer.crl([]));
      else response.writeHead(302, { location }).end();
    });
    expect(await rig().check(about(anna, { crl: [`${server.url}/moved`] }))).toMatchObject({ kind });
  });

  it.each([
    ["8.8.8.8", true],
    ["2a00:1450:4001::1", true],
    ["64:ff9b::808:808", true],
    ["10.0.0.1", false],
    ["127.0.0.1", false],
    ["169.254.169.254", false],
    ["100.64.0.1", false],
    ["192.168.1.1", false],
    ["224.0.0.1", false],
    ["0.0.0.0", false],
    ["::1", false],
    ["::", false],
    ["::ffff:127.0.0.1", false],
    ["::ffff:7f00:1", false],
    ["::127.0.0.1", false],
    ["64:ff9b::7f00:1", false],
    ["fe80::1%eth0", false],
    ["fd00::1", false],
    ["2002:7f00:1::", false],
    ["name.test", false],
  ])("%s is public: %s", (address, expected) => {
    expect(isPublic(address)).toBe(expected);
  });
});

function pem(der: Buffer): Buffer {
  const lines = der.toString("base64").match(/.{1,64}/g) ?? [];
  return Buffer.from(`-----BEGIN X509 CRL-----\n${lines.join("\n")}\n-----END X509 CRL-----\n`);
}
