/** Report mode from its first figures to `promote`, through the command line, with a partner whose certificate is another's. */
import { chmod, readdir, readFile, rename, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { CliDeps } from "../../src/cli/deps.ts";
import { eventually } from "../contract/messages.ts";
import { run, type Ran } from "./cli-deps.ts";
import { createRig, delivered, goodMx, letter, type Rig, submit } from "./treatment-rig.ts";

const LONG_MS = 30_000;
const until = new Date(Date.now() + 20 * 86_400_000).toISOString().slice(0, 10);
const FILE = `# ACME AG, since 2019
name: ACME AG
domains: [acme.test]     # and no other
owner: anna@example.org
mode: report             # until they have a certificate
report_until: ${until} # agreed with Bert

# what they must prove
outbound:
  tls: {level: verify, match: [gate.acme.test]} # not their MX's name
`;
const PROMOTED = FILE.replace("mode: report ", "mode: enforce ").replace(/report_until.*\n/, "");

interface Desk extends Rig {
  readonly sealpost: (words: string, over?: Partial<CliDeps>) => Promise<Ran>;
  readonly file: string;
  readonly text: () => Promise<string>;
}

async function createDesk(text = FILE): Promise<Desk> {
  const rig = await createRig(goodMx);
  await rig.configure({ queue: { retry: ["1h"], reserve: "1MiB" } });
  const file = await rig.site.write("config/partners/acme.yaml", text);
  await rig.site.start();
  return {
    ...rig,
    file,
    text: () => readFile(file, "utf8"),
    sealpost: (words, over) =>
      run(rig.site.folder, [...words.split(" "), "-c", join(rig.site.folder, "config", "sealpost.yaml")], over),
  };
}

/** One that goes in report mode, and would not have gone else. */
async function reported(desk: Desk, recipient: string): Promise<void> {
  await submit(desk.site, { to: recipient, content: letter() });
  expect(await delivered(desk.site, recipient)).toMatchObject({ mode: "report", wouldDefer: expect.any(String) });
}

const typed = (text: string): Partial<CliDeps> => ({
  stdin: (async function* () {
    yield text;
  })(),
});

describe("promote", { timeout: 2 * LONG_MS }, () => {
  it("tells what would have waited, switches the file byte for byte, and has it enforced", async () => {
    const desk = await createDesk();
    await reported(desk, "bert@acme.test");
    await reported(desk, "carl@acme.test");
    await chmod(desk.file, 0o640);
    const told =
      /acme: report mode until \d{4}-\d\d-\d\d\. Would have deferred 2 of 2 deliveries since \d{4}-\d\d-\d\d, because certificate-\S+: 2\.\n/;
    const explained = await desk.sealpost("explain bert@acme.test --offline");
    expect(explained.out.replaceAll(/\s+/g, " ")).toContain("Would have deferred 2 of 2 deliveries since");
    expect((await desk.sealpost("check")).out).toMatch(new RegExp(`acme .*, in report mode until ${until}\n`));
    const dry = await desk.sealpost("promote acme --dry-run");
    expect(dry).toMatchObject({ code: 0, error: "" });
    expect(dry.out).toMatch(told);
    expect(dry.out).toContain(`- report_until: ${until} # agreed with Bert\n+ mode: enforce             # until they`);
    expect(await desk.text()).toBe(FILE);
    const ran = await desk.sealpost("promote acme", typed("yes\n"));
    expect(ran).toMatchObject({ code: 0, out: expect.stringMatching(told) as string });
    expect(ran.out).toContain("The new configuration is in force.");
    expect(await desk.text()).toBe(PROMOTED);
    expect((await stat(desk.file)).mode & 0o777).toBe(0o640);
    expect(await readdir(join(desk.file, ".."))).toEqual(["acme.yaml"]);
    expect(await desk.site.logged("admin.action", ({ action }) => action === "reload")).toMatchObject({
      why: "promote acme",
    });
    await submit(desk.site, { to: "dora@acme.test", content: letter() });
    const waits = await desk.site.logged("delivery", (line) => String(line["recipients"]).includes("dora"));
    expect(waits).toMatchObject({ outcome: "deferred", mode: "enforce" });
    expect(await desk.sealpost("promote acme")).toMatchObject({ code: 1, out: "" });
  });

  it.each([
    ["no", "no\n"],
    ["silence", ""],
    ["anything else", "yessir\n"],
  ])("takes %s for no where mail would have waited, and changes nothing: exit 1", async (_, answer) => {
    const desk = await createDesk();
    await reported(desk, "bert@acme.test");
    const ran = await desk.sealpost("promote acme", typed(answer));
    expect(ran.code).toBe(1);
    expect(ran.error).toContain("Nothing is changed");
    expect(await desk.text()).toBe(FILE);
  });

  it("asks nothing where nothing would have waited", async () => {
    const desk = await createDesk(FILE.replace("{level: verify, match: [gate.acme.test]}", "{level: encrypt}"));
    await submit(desk.site, { to: "bert@acme.test", content: letter() });
    await delivered(desk.site, "bert@acme.test");
    const ran = await desk.sealpost("promote acme");
    expect(ran).toMatchObject({ code: 0, error: "" });
    expect(ran.out).toContain("Would have deferred none of 1 delivery since");
  });

  it("asks where no history is kept any more, whatever is left of it", async () => {
    const desk = await createDesk(FILE.replace("{level: verify, match: [gate.acme.test]}", "{level: encrypt}"));
    await submit(desk.site, { to: "bert@acme.test", content: letter() });
    await delivered(desk.site, "bert@acme.test");
    await desk.site.gateway().stop("test");
    await desk.configure({ history: { keep: "0s" } });
    expect(await desk.sealpost("promote acme", typed("no\n"))).toMatchObject({
      code: 1,
      out: expect.stringContaining("No history is kept") as string,
      error: expect.stringContaining("Enforce it?") as string,
    });
  });

  it("asks where nothing was tried, for nobody knows then", async () => {
    const desk = await createDesk();
    expect(await desk.sealpost("promote acme", typed("no\n"))).toMatchObject({
      code: 1,
      out: expect.stringContaining("Nothing was tried in report mode") as string,
      error: expect.stringContaining("Enforce it?") as string,
    });
    expect(await desk.text()).toBe(FILE);
  });

  it("asks nothing with --yes; works on a stopped gateway", async () => {
    const desk = await createDesk();
    await reported(desk, "bert@acme.test");
    await desk.site.gateway().stop("test");
    const ran = await desk.sealpost("promote acme --yes --json");
    expect(ran).toMatchObject({ code: 0, error: "" });
    expect(JSON.parse(ran.out)).toMatchObject({
      partner: "acme",
      figures: { deliveries: 1, wouldDefer: [{ deliveries: 1 }] },
      written: true,
    });
    expect(await desk.text()).toBe(PROMOTED);
    await desk.site.write("config/partners/fresh.yaml", FILE.replace("[acme.test]", "[fresh.test]"));
    const fresh = await desk.sealpost("promote fresh --yes");
    expect(fresh).toMatchObject({ code: 0, error: "" });
    expect(fresh.out).toContain("The gateway is stopped: its next start enforces it.");
  });

  it("writes nothing where the configuration would not be good: exit 78", async () => {
    const desk = await createDesk();
    const broken = `${FILE}colour: red\n`;
    await desk.site.write("config/partners/acme.yaml", broken);
    expect(await desk.sealpost("promote acme --yes")).toMatchObject({ code: 78 });
    expect(await desk.text()).toBe(broken);
  });

  it("leaves a file to a person that it cannot edit without touching more: exit 1", async () => {
    const odd = FILE.replace("mode: report ", "mode: &m report ");
    const desk = await createDesk(odd);
    const ran = await desk.sealpost("promote acme --yes");
    expect(ran.code).toBe(1);
    expect(ran.error).toContain("by hand");
    expect(await desk.text()).toBe(odd);
  });

  it("writes through a link, which stays one", async () => {
    const desk = await createDesk();
    const real = join(desk.site.folder, "acme.yaml");
    await rename(desk.file, real);
    await symlink("../../acme.yaml", desk.file);
    expect((await desk.sealpost("promote acme --yes")).code).toBe(0);
    expect(await readFile(real, "utf8")).toBe(PROMOTED);
    expect(await readdir(join(desk.file, ".."), { withFileTypes: true })).toMatchObject([{ name: "acme.yaml" }]);
    expect(await desk.text()).toBe(PROMOTED);
  });

  it("of report mode that sealpost.yaml has for all writes enforce into the partner's file", async () => {
    const own = FILE.replace(/mode: report.*\n/, "").replace(/report_until.*\n/, "");
    const desk = await createDesk(own);
    await desk.configure({ mode: "report", report_until: until });
    expect((await desk.sealpost("reload")).code).toBe(0);
    const ran = await desk.sealpost("promote acme --yes");
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.out).toContain("report mode comes from sealpost.yaml, and stays there for others");
    expect(await desk.text()).toBe(
      own.replace("owner: anna@example.org\n", "owner: anna@example.org\nmode: enforce\n"),
    );
  });

  it.each([
    ["a partner that is not there", "promote nobody", 1, "nobody.yaml"],
    ["the other direction", "promote acme --direction inbound", 64, "not available yet"],
    ["a direction that is none", "promote acme --direction up", 64, "outbound or inbound"],
  ])("refuses %s", async (_, words, code, error) => {
    const desk = await createDesk();
    const ran = await desk.sealpost(words);
    expect(ran).toMatchObject({ code, out: "" });
    expect(ran.error).toContain(error);
  });

  it("does not write over what somebody has edited meanwhile", async () => {
    const desk = await createDesk();
    await reported(desk, "bert@acme.test");
    let asked = false;
    const stdin = (async function* () {
      asked = true;
      await desk.site.write("config/partners/acme.yaml", `${FILE}# mine\n`);
      yield "yes\n";
    })();
    const ran = await desk.sealpost("promote acme", { stdin });
    await eventually(() => asked, LONG_MS);
    expect(ran).toMatchObject({ code: 1 });
    expect(ran.error).toContain("somebody has edited it meanwhile");
    expect(await desk.text()).toBe(`${FILE}# mine\n`);
  });
});
