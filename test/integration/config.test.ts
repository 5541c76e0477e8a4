/** The configuration from a real disk: what is shipped loads, modes are seen, the schemas for editors are up to date. */
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { diskFiles } from "../../src/config/files.ts";
import { watchFiles } from "../../src/config/file-watch.ts";
import { jsonSchemas } from "../../src/config/json-schema.ts";
import { loadConfig } from "../../src/config/load.ts";
import { selfSigned } from "../../src/config/self-signed.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { selfSignedPerson } from "../peers/mail-authority.ts";
import { described } from "../unit/config/memory.ts";

const SHIPPED = new URL("../../config/", import.meta.url).pathname;
const deps = { files: diskFiles, env: {}, clock: systemClock, selfSigned };
let root: string;
let file: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "sealpost-config-"));
  file = join(root, "config/sealpost.yaml");
  mkdirSync(join(root, "config/partners"), { recursive: true });
  copyFileSync(join(SHIPPED, "sealpost.yaml"), file);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const problems = async (path = file) => {
  const loaded = await loadConfig(path, deps);
  return loaded.ok ? [] : described(loaded.problems).map((line) => line.replaceAll(`${root}/`, ""));
};

describe("the shipped sealpost.yaml", () => {
  it("needs no other file, listens on loopback and says nothing", async () => {
    const loaded = await loadConfig(file, deps);
    expect(loaded).toMatchObject({ ok: true, warnings: [] });
    if (!loaded.ok) return;
    const { accept, admin, files } = loaded.settings;
    expect(accept.listeners.map(({ address, port }) => `${address}:${port}`)).toEqual(["127.0.0.1:2525"]);
    expect(`${admin.address}:${admin.port}`).toBe("127.0.0.1:8025");
    expect(accept.listeners[0]?.certificates[0]?.names).toContain("relay.example.org");
    expect(files).toEqual([file]);
  });
  it("takes its address from SEALPOST_ADDRESS", async () => {
    const loaded = await loadConfig(file, { ...deps, env: { SEALPOST_ADDRESS: "127.0.0.7" } });
    expect(loaded.ok && loaded.settings.accept.listeners[0]?.address).toBe("127.0.0.7");
  });
  it("loads with the examples of partners", async () => {
    for (const name of ["acme.yaml", "pinned.yaml"]) {
      copyFileSync(join(SHIPPED, "examples/partners", name), join(root, "config/partners", name));
    }
    copyFileSync(join(SHIPPED, "partners/README.md"), join(root, "config/partners/README.md"));
    const loaded = await loadConfig(file, deps, 7);
    expect(loaded).toMatchObject({ ok: true, warnings: [] });
    if (!loaded.ok) return;
    expect(loaded.settings.policy.generation).toBe(7);
    expect(loaded.settings.policy.partners.map(({ id, outbound }) => [id, outbound.tls.level])).toEqual([
      ["acme", "secure"],
      ["pinned", "fingerprint"],
    ]);
    expect(loaded.settings.files).toHaveLength(3);
  });
});

describe("files on disk", () => {
  const withTrust = (path: string) => {
    writeFileSync(file, `${readFileSync(file, "utf8")}tls: {trust: ${path}}\n`);
    return problems();
  };
  it.each<[string, () => string, string]>([
    ["a folder", () => ".", "is not a file"],
    ["a missing file", () => "none.pem", "does not exist"],
    ["a path through a file", () => "sealpost.yaml/x", "does not exist"],
    ["a dangling link", () => (symlinkSync("gone", join(root, "config/link")), "link"), "does not exist"],
    [
      "bytes that are no text",
      () => (writeFileSync(join(root, "config/der"), Buffer.from([0x30, 0x82, 0xff])), "der"),
      "is not text in UTF-8",
    ],
    [
      "a file too big",
      () => (writeFileSync(join(root, "config/big"), "x".repeat(1_048_577)), "big"),
      "larger than 1 MiB",
    ],
    ["a device", () => "/dev/zero", "is not a file"],
  ])("%s is told, never waited for", async (_, make, message) =>
    expect(await withTrust(make())).toEqual([expect.stringContaining(message)]),
  );
  it.each([
    [0o600, 0],
    [0o400, 0],
    [0o640, 1],
    [0o604, 1],
    [0o660, 1],
  ])("a queue key of mode %o gives %i problem(s)", async (mode, count) => {
    mkdirSync(join(root, "certs"));
    writeFileSync(join(root, "certs/queue.key"), "key");
    chmodSync(join(root, "certs/queue.key"), mode);
    expect(await problems()).toHaveLength(count);
  });
  it("a group may read a key where allow_group_read says so, but not write it", async () => {
    writeFileSync(file, `${readFileSync(file, "utf8")}allow_group_read: true\n`);
    mkdirSync(join(root, "certs"));
    writeFileSync(join(root, "certs/queue.key"), "key");
    chmodSync(join(root, "certs/queue.key"), 0o640);
    expect(await problems()).toEqual([]);
    chmodSync(join(root, "certs/queue.key"), 0o660);
    expect(await problems()).toEqual([expect.stringContaining("mode 0660")]);
  });
  it("nothing is made while anything is wrong", async () => {
    await withTrust("none.pem");
    expect(diskFiles.list(join(root, "data"))).toBe("missing");
  });
  it("a missing sealpost.yaml is one problem", async () =>
    expect(await problems(join(root, "nowhere/sealpost.yaml"))).toEqual([expect.stringContaining("does not exist")]));
  it("a data_dir that cannot be made is told at its line", async () => {
    writeFileSync(join(root, "data"), "a file");
    expect(await problems()).toEqual([expect.stringMatching(/sealpost\.yaml:10:1 .*data/)]);
  });
});

describe("what is watched", () => {
  /** Looks when it is told to; counts the changes it was told of. */
  function watch() {
    let next: (() => void) | undefined;
    let changes = 0;
    const stop = watchFiles({
      clock: { after: (_, run) => ((next = run), () => undefined) },
      files: () => [file],
      folders: () => [join(root, "keys")],
      everyMs: 1,
      onChange: () => void (changes += 1),
    });
    const look = async (): Promise<number> => {
      while (next === undefined) await new Promise(setImmediate);
      const run = next;
      next = undefined;
      run();
      while (next === undefined) await new Promise(setImmediate);
      return changes;
    };
    return { look, stop };
  }
  it("is a file that changes, one that comes into a folder, grows there, or goes; and nothing else", async () => {
    const { look, stop } = watch();
    const key = join(root, "keys/anna@example.org.p12");
    expect(await look()).toBe(0);
    mkdirSync(join(root, "keys"));
    expect(await look()).toBe(0);
    writeFileSync(key, "half");
    expect(await look()).toBe(1);
    writeFileSync(key, "half and half");
    expect(await look()).toBe(2);
    expect(await look()).toBe(2);
    writeFileSync(file, "hostname: other.example.org\n");
    expect(await look()).toBe(3);
    rmSync(key);
    expect(await look()).toBe(4);
    stop();
  });
});

describe("keys and certificates that are no text", () => {
  it("are read octet for octet, and are listed with their folders", async () => {
    const folder = join(root, "certs/smime/partners");
    mkdirSync(folder, { recursive: true });
    const bea = selfSignedPerson({ emails: ["bea@acme.example"] });
    writeFileSync(join(folder, "bea.cer"), bea.der);
    const loaded = await loadConfig(file, deps);
    expect(loaded).toMatchObject({ ok: true, warnings: [] });
    if (!loaded.ok) return;
    const { smime, files, folders } = loaded.settings;
    expect(smime.recipients).toMatchObject([{ certificate: bea.pem, addresses: ["bea@acme.example"] }]);
    expect(files).toContain(join(folder, "bea.cer"));
    expect(folders).toEqual([folder, join(root, "data/smime/harvested")]);
  });
});

it.each(Object.entries(jsonSchemas()))("config/%s is what `npm run schema` writes", (name, text) =>
  expect(readFileSync(join(SHIPPED, name), "utf8")).toBe(text),
);
