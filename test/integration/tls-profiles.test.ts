/** Each profile as OpenSSL applies it: real handshakes on loopback, and the ClientHello byte for byte. */
import { once } from "node:events";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { connect, createServer, type SecureContextOptions, type TLSSocket } from "node:tls";
import { afterEach, describe, expect, it } from "vitest";
import { describeProfile, TLS_PROFILE_NAMES, tlsProfile } from "../../src/config/tls-profiles.ts";
import { createAuthority } from "../peers/certificates.ts";

const root = createAuthority("Root");
const ec = root.issue({ names: ["mx.example"] });
const rsa = root.issue({ names: ["mx.example"], keyType: "rsa" });

const toClose: (() => void)[] = [];
afterEach(() => {
  for (const close of toClose.splice(0)) close();
});

function options(name: string): SecureContextOptions {
  const profile = tlsProfile(name);
  if (profile === undefined) throw new Error(`no profile ${name}`);
  const { minVersion, ciphers, groups, signatureAlgorithms } = profile;
  return { minVersion, ciphers, ecdhCurve: groups, sigalgs: signatureAlgorithms };
}

interface Shown {
  readonly version: string | null;
  readonly suite: string;
  readonly group: string | undefined;
}

/** What a client and a server agree on, or the code of the error. */
async function handshake(server: SecureContextOptions, client: SecureContextOptions): Promise<Shown | string> {
  const listener = createServer({ cert: ec.chain, key: ec.key, ...server });
  listener.on("tlsClientError", () => undefined);
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const socket = connect({ port, host: "127.0.0.1", ca: root.certificate, servername: "mx.example", ...client });
  toClose.push(
    () => socket.destroy(),
    () => listener.close(),
  );
  try {
    await once(socket, "secureConnect");
    return shown(socket);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? "no code";
  }
}

function shown(socket: TLSSocket): Shown {
  const key = socket.getEphemeralKeyInfo() as { name?: string };
  return { version: socket.getProtocol(), suite: socket.getCipher().name, group: key.name };
}

describe.each(TLS_PROFILE_NAMES)("%s", (name) => {
  it("negotiates its first suite with itself, in TLS 1.3", async () => {
    expect(await handshake(options(name), options(name))).toMatchObject({
      version: "TLSv1.3",
      suite: "TLS_AES_128_GCM_SHA256",
    });
  });

  it("offers exactly what it is described to leave in effect", async () => {
    const profile = tlsProfile(name);
    if (profile === undefined) throw new Error("no profile");
    const inEffect = describeProfile(profile);
    const offered = await clientHello(options(name));
    expect(offered.suites).toHaveLength(inEffect.tls13Suites.length + inEffect.tls12Suites.length);
    expect(offered.groups).toHaveLength(inEffect.groups.length);
    expect(offered.signatureAlgorithms).toHaveLength(inEffect.signatureAlgorithms.length);
  });

  it.each([
    ["an RSA", rsa],
    ["an ECDSA", ec],
  ])("works as a server with %s certificate", async (_, { chain, key }) => {
    expect(await handshake({ ...options(name), cert: chain, key }, {})).toMatchObject({ version: "TLSv1.3" });
  });
});

const not12 = ["modern"];

it.each(TLS_PROFILE_NAMES.filter((name) => !not12.includes(name)))(
  "%s speaks TLS 1.2 with forward secrecy",
  async (name) => {
    const result = await handshake(options(name), { maxVersion: "TLSv1.2" });
    expect(result).toMatchObject({ version: "TLSv1.2", suite: expect.stringMatching(/^ECDHE-.*GCM/) });
  },
);

const weak: SecureContextOptions = { minVersion: "TLSv1", ciphers: "ALL:@SECLEVEL=0" };

it.each(TLS_PROFILE_NAMES.filter((name) => name !== "legacy"))(
  "%s refuses TLS 1.1 and 1.0 [RFC 8996], on either side",
  async (name) => {
    for (const maxVersion of ["TLSv1.1", "TLSv1"] as const) {
      expect(await handshake(options(name), { ...weak, maxVersion })).toMatch(/^ERR_SSL/);
      expect(await handshake({ ...weak, maxVersion }, options(name))).toMatch(/^ERR_SSL/);
    }
  },
);

it.each(["TLSv1", "TLSv1.1"] as const)("legacy takes %s, on either side", async (version) => {
  expect(await handshake(options("legacy"), { ...weak, maxVersion: version })).toMatchObject({ version });
  expect(await handshake({ ...weak, maxVersion: version }, options("legacy"))).toMatchObject({ version });
});

it("modern refuses TLS 1.2", async () => {
  expect(await handshake(options("modern"), { maxVersion: "TLSv1.2" })).toMatch(/^ERR_SSL/);
});

it.each([
  ["AES128-SHA", "static RSA"],
  ["ECDHE-RSA-AES128-SHA256", "CBC"],
])("intermediate refuses %s: %s", async (ciphers) => {
  const server = { ...options("intermediate"), cert: rsa.chain, key: rsa.key };
  expect(await handshake(server, { ciphers, maxVersion: "TLSv1.2" })).toMatch(/^ERR_SSL/);
});

it.each([
  ["intermediate", "X25519MLKEM768", true],
  ["nist-800-52r2", "X25519", false],
  ["nist-800-52r2", "SecP256r1MLKEM768", true],
  ["bsi-tr-02102-2", "X25519", false],
  ["bsi-tr-02102-2", "brainpoolP256r1tls13", true],
  ["bsi-tr-03116-4", "X25519MLKEM768", false],
])("%s, a peer that has only the group %s: agreed %s", async (name, ecdhCurve, agreed) => {
  const result = await handshake(options(name), { ecdhCurve });
  expect(typeof result === "object").toBe(agreed);
});

interface Hello {
  readonly suites: number[];
  readonly groups: number[];
  readonly signatureAlgorithms: number[];
}

/** The ClientHello that these options send (RFC 8446 §4.1.2), signalling suites left out. */
async function clientHello(client: SecureContextOptions): Promise<Hello> {
  const listener = createTcpServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const accepted = once(listener, "connection") as Promise<[Socket]>;
  const socket = connect({ port: (listener.address() as AddressInfo).port, host: "127.0.0.1", ...client });
  socket.on("error", () => undefined);
  const [peer] = await accepted;
  toClose.push(
    () => socket.destroy(),
    () => peer.destroy(),
    () => listener.close(),
  );
  let bytes = Buffer.alloc(0);
  while (bytes.length < 5 || bytes.length < 5 + bytes.readUInt16BE(3)) {
    const [chunk] = (await once(peer, "data")) as [Buffer];
    bytes = Buffer.concat([bytes, chunk]);
  }
  return parseHello(bytes);
}

function parseHello(record: Buffer): Hello {
  let at = 5 + 4 + 2 + 32; // record header, handshake header, version, random
  at += 1 + record.readUInt8(at); // session id
  const suites = numbers(record.subarray(at + 2, at + 2 + record.readUInt16BE(at)));
  at += 2 + record.readUInt16BE(at);
  at += 1 + record.readUInt8(at); // compression
  const extensions = new Map<number, Buffer>();
  for (at += 2; at < record.length; at += 4 + record.readUInt16BE(at + 2)) {
    extensions.set(record.readUInt16BE(at), record.subarray(at + 4, at + 4 + record.readUInt16BE(at + 2)));
  }
  return {
    suites: suites.filter((suite) => suite !== 0x00ff && suite !== 0x5600),
    groups: numbers((extensions.get(10) ?? Buffer.alloc(2)).subarray(2)),
    signatureAlgorithms: numbers((extensions.get(13) ?? Buffer.alloc(2)).subarray(2)),
  };
}

function numbers(bytes: Buffer): number[] {
  return Array.from({ length: bytes.length / 2 }, (_, index) => bytes.readUInt16BE(2 * index));
}
