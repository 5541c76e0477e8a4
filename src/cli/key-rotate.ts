/**
 * `sealpost key rotate|show`: puts a new queue key in force and stays until nothing needs the old one. Whoever ends the
 * command earlier ends nothing else: the gateway goes on, and after a stop its next start does.
 */
import type { KeyActions } from "../admin/key-actions.ts";
import type { Settings } from "../config/settings.ts";
import type { KeyState } from "../store/key-rotation.ts";
import { type CliDeps, type Common, EXIT, type ExitCode, printJson, refuse } from "./deps.ts";
import { accountName } from "./account.ts";
import { withKeys } from "./key-access.ts";
import { loadSettings, shownPath } from "./settings.ts";
import { count, wrapped } from "./text.ts";

const LOOK_MS = 200;
/** Between two lines that say how far it is. */
const TOLD_MS = 2_000;

export async function keyRotate(deps: CliDeps, common: Common, { why }: { why?: string }): Promise<ExitCode> {
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  return withKeys(deps, settings, async (actions) => {
    const rotated = await actions.rotate({ address: "local", who: accountName(), why });
    switch (rotated.kind) {
      case "failed":
        return refuse(deps, EXIT.no, [`${rotated.detail}.`]);
      case "busy":
        return refuse(deps, EXIT.no, [`The last rotation has not ended: ${toGo(rotated.state)}. Nothing was changed.`]);
      case "started": {
        const { keyId, former } = rotated;
        if (!common.json) tellBackup(deps, settings, rotated);
        const state = await untilDone(deps, common, actions);
        const done = state.trouble === undefined;
        if (common.json) printJson(deps, { keyId, former, done, trouble: state.trouble ?? null });
        else if (done) deps.stdout.write(`Queue key ${keyId} is in force; nothing needs ${former} any more.\n`);
        return done ? EXIT.good : refuse(deps, EXIT.no, [`Key ${former} stays for now. ${state.trouble ?? ""}`]);
      }
    }
  });
}

export async function keyShow(deps: CliDeps, common: Common): Promise<ExitCode> {
  const settings = await loadSettings(deps, common);
  if (typeof settings === "number") return settings;
  return withKeys(deps, settings, async (actions) => {
    const state = await actions.state();
    if (common.json) printJson(deps, state);
    else {
      deps.stdout.write(`Queue key ${state.keyId} is in force.\n`);
      for (const { keyId, messages } of state.former) deps.stdout.write(`${neededBy(keyId, messages)}\n`);
      if (state.trouble !== undefined) deps.stdout.write(`${state.trouble}\n`);
    }
    return EXIT.good;
  });
}

function neededBy(keyId: string, messages: number): string {
  if (messages === 0) return `Key ${keyId} is in the file, and no message needs it.`;
  return `Key ${keyId} is still needed by ${count(messages, "message")}.`;
}

async function untilDone(deps: CliDeps, common: Common, actions: KeyActions): Promise<KeyState> {
  let told = deps.clock.monotonic();
  for (;;) {
    const state = await actions.state();
    if (!state.running || state.trouble !== undefined) return state;
    if (!common.json && deps.clock.monotonic() - told >= TOLD_MS) {
      told = deps.clock.monotonic();
      deps.stderr.write(`${toGo(state)}\n`);
    }
    await deps.clock.sleep(LOOK_MS);
  }
}

function toGo({ former }: KeyState): string {
  const messages = former.reduce((sum, one) => sum + one.messages, 0);
  return `${count(messages, "message")} to be wrapped anew`;
}

/** Before it is too late: mail that comes from now on is lost with the new key. */
function tellBackup(deps: CliDeps, { store }: Settings, { keyId, former }: { keyId: string; former: string }): void {
  const file = shownPath(deps, store.keyFile);
  const lines = [
    `Queue key ${keyId} is in force. Back ${file} up now: without it nobody reads the mail that comes from now on.`,
    `Backups of data_dir made until now need key ${former}: keep the backup of the key file as long as those.`,
  ];
  for (const line of lines) deps.stderr.write(`${wrapped(line, deps.stderr, 0)}\n`);
}
