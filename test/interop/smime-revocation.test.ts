/** What OpenSSL's own CA says of its certificates, by OCSP and by list, is understood. */
import { X509Certificate } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createOutsideHttp } from "../../src/connect/outside-http.ts";
import { createRevocation, type RevocationQuestion } from "../../src/connect/revocation.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { startHttpServer } from "../peers/http-server.ts";
import { must } from "./rig/processes.ts";
import { createWorkbench } from "./rig/workbench.ts";

const bench = createWorkbench();
let folder: string;
let issuer: X509Certificate;

const config = (at: string) => `
[ca]
default_ca = own
[own]
dir = ${at}
database = ${at}/index.txt
serial = ${at}/serial
new_certs_dir = ${at}
certificate = ${at}/ca.crt
private_key = ${at}/ca.key
default_md = sha256
default_days = 20
default_crl_days = 5
policy = any
unique_subject = no
[any]
commonName = supplied
[person]
basicConstraints = CA:false
extendedKeyUsage = emailProtection
[responder]
basicConstraints = CA:false
extendedKeyUsage = OCSPSigning
`;

beforeAll(async () => {
  folder = await bench.folder("revocation");
  const at = (name: string) => join(folder, name);
  await writeFile(at("ca.cnf"), config(folder));
  await writeFile(at("index.txt"), "");
  await writeFile(at("serial"), "1000\n");
  const newKey = (name: string) =>
    must("openssl", ["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", at(`${name}.key`)]);
  await newKey("ca");
  await must("openssl", [
    "req",
    "-x509",
    "-new",
    "-key",
    at("ca.key"),
    "-out",
    at("ca.crt"),
    "-days",
    "30",
    "-subj",
    "/CN=Mail CA",
  ]);
  for (const [name, extensions] of [
    ["anna", "person"],
    ["bob", "person"],
    ["responder", "responder"],
  ] as const) {
    await newKey(name);
    await must("openssl", [
      "req",
      "-new",
      "-key",
      at(`${name}.key`),
      "-out",
      at(`${name}.csr`),
      "-subj",
      `/CN=${name}`,
    ]);
    const issue = [
      "ca",
      "-batch",
      "-config",
      at("ca.cnf"),
      "-extensions",
      extensions,
      "-in",
      at(`${name}.csr`),
      "-out",
      at(`${name}.crt`),
    ];
    await must("openssl", [...issue, "-notext"]);
  }
  await must("openssl", ["ca", "-config", at("ca.cnf"), "-revoke", at("bob.crt")]);
  issuer = new X509Certificate(await readFile(at("ca.crt")));
});
afterAll(() => bench.clear());

/** OpenSSL answers from a file to a file: its own listener binds to every address. */
async function respond(request: Buffer): Promise<Buffer> {
  const at = (name: string) => join(folder, name);
  await writeFile(at("request"), request);
  const own = ["-rsigner", at("responder.crt"), "-rkey", at("responder.key"), "-ndays", "1"];
  const database = ["-index", at("index.txt"), "-CA", at("ca.crt")];
  await must("openssl", ["ocsp", ...database, ...own, "-reqin", at("request"), "-respout", at("response")]);
  return readFile(at("response"));
}

async function ask(name: string, where: Partial<Pick<RevocationQuestion, "ocsp" | "crl">>) {
  const certificate = new X509Certificate(await readFile(join(folder, `${name}.crt`))).raw;
  const resolveAddresses = () => Promise.resolve({ addresses: [] });
  const outside = createOutsideHttp({ clock: systemClock, resolveAddresses, allowPrivate: () => true });
  const check = createRevocation({ clock: systemClock, ask: outside });
  return check({ certificate, issuer, authority: false, ocsp: [], crl: [], ...where });
}

const today = () => new Date().toISOString().slice(0, 10);

describe("OpenSSL's CA", () => {
  it("says by OCSP which certificate holds and which does not, by a responder of its own", async () => {
    await using server = await startHttpServer();
    server.answer(({ body }, response) => void respond(body).then((answer) => response.end(answer)));
    const ocsp = `${server.url}/`;
    expect(await ask("anna", { ocsp: [ocsp] })).toEqual({ kind: "good" });
    expect(await ask("bob", { ocsp: [ocsp] })).toEqual({ kind: "revoked", detail: `revoked on ${today()}` });
  });

  it.each(["DER", "PEM"])("says by a list in %s which certificate holds and which does not", async (form) => {
    const pem = join(folder, `list-${form}.pem`);
    await must("openssl", ["ca", "-config", join(folder, "ca.cnf"), "-gencrl", "-out", pem]);
    await must("openssl", ["crl", "-in", pem, "-outform", form, "-out", `${pem}.out`]);
    const list = await readFile(`${pem}.out`);
    await using server = await startHttpServer();
    server.answer((_, response) => void response.end(list));
    expect(await ask("anna", { crl: [`${server.url}/ca.crl`] })).toEqual({ kind: "good" });
    expect(await ask("bob", { crl: [`${server.url}/ca.crl`] })).toMatchObject({ kind: "revoked" });
  });
});
