/**
 * Changes the queue key. A new one goes on top of the key file; then, page by page and beside the mail, whatever an
 * older one wraps is wrapped anew; when nothing names an older key, its line goes. Each step can be repeated, so that a
 * crash between any two costs nothing: the next start goes on. A key that is still named is never dropped.
 */
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import { replaceKeyFile } from "./key-file.ts";
import type { StoreKeys } from "./key-ring.ts";
import { type KeyLine, newKeyLine, readKeyFile } from "./queue-key.ts";
import { StoreError } from "./queue.ts";
import { rewrapAll } from "./rewrapping.ts";
import type { StoreSettings } from "./settings.ts";
import type { Link } from "./sqlite-link.ts";
import { StoreStartError } from "./start-error.ts";

export interface KeyState {
  /** Id of the key that wraps what is new. */
  readonly keyId: string;
  /** Older keys that are still in the file, and how many messages each of them wraps. */
  readonly former: readonly { readonly keyId: string; readonly messages: number }[];
  /** Messages are being wrapped anew. */
  readonly running: boolean;
  /** What keeps an older key from going; undefined: nothing does. */
  readonly trouble: string | undefined;
}

export type Rotated =
  /** The new key is in force; what the former wraps is wrapped anew from now on. */
  | { readonly kind: "started"; readonly keyId: string; readonly former: string }
  /** The last rotation has not ended. */
  | { readonly kind: "busy"; readonly state: KeyState }
  /** Nothing has changed but what `detail` says. */
  | { readonly kind: "failed"; readonly detail: string };

export type KeyNews =
  | { readonly kind: "rotated"; readonly keyId: string; readonly dropped: readonly string[] }
  | { readonly kind: "trouble"; readonly detail: string };

export interface KeyRotation {
  readonly state: () => Promise<KeyState>;
  readonly rotate: () => Promise<Rotated>;
  /** Goes on in the background with what a former run has left. */
  readonly resume: () => void;
  /** Resolves when the page in hand is stored. */
  readonly stop: () => Promise<void>;
}

export interface KeyRotationDeps {
  readonly settings: StoreSettings;
  readonly keys: StoreKeys;
  readonly storeId: string;
  readonly rememberKeys: (keyIds: readonly string[]) => Promise<void>;
  readonly link: Pick<Link, "call">;
  readonly clock: Pick<Clock, "sleep">;
  readonly random: Random;
  readonly onNews: (news: KeyNews) => void;
}

const AGAIN_MS = 10_000;
/** The key file and its folder are a person's to mend. */
const MENDED_MS = 600_000;
/** The file is read up to 1 KiB. */
const MOST_KEYS = 12;

export function createKeyRotation(deps: KeyRotationDeps): KeyRotation {
  const { settings, keys, link, clock } = deps;
  const { ring } = keys;
  const stopping = new AbortController();
  let inFile = ring.ids();
  let running: Promise<void> | undefined;
  let rotating = false;
  let trouble: string | undefined;
  const state = async (): Promise<KeyState> => {
    const keyId = ring.current().id;
    const counts = new Map((await link.call("formerCounts", { keyId })).map((one) => [one.keyId, one.messages]));
    const ids = new Set([...inFile, ...counts.keys()].filter((id) => id !== keyId));
    const former = [...ids].map((id) => ({ keyId: id, messages: counts.get(id) ?? 0 }));
    return { keyId, former, running: running !== undefined, trouble };
  };
  const tell = (detail: string): void => {
    if (detail !== trouble) deps.onNews({ kind: "trouble", detail });
    trouble = detail;
  };
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      try {
        const { named, damaged } = await rewrapAll(deps, stopping.signal);
        if (stopping.signal.aborted) return;
        if (damaged > 0) return tell(damagedText(damaged, named));
        if (named.some((id) => id !== ring.current().id)) continue; // stored meanwhile
        const { left, dropped } = await dropFormer(deps);
        inFile = left;
        trouble = undefined;
        if (dropped.length > 0) deps.onNews({ kind: "rotated", keyId: ring.current().id, dropped });
        return;
      } catch (error) {
        tell(textOf(error));
        await clock.sleep(error instanceof StoreError ? AGAIN_MS : MENDED_MS, stopping.signal);
      }
    }
  };
  const resume = (): void => {
    if (stopping.signal.aborted || inFile.length < 2) return;
    running ??= run().finally(() => (running = undefined));
  };
  return {
    state,
    resume,
    rotate: async () => {
      if (rotating || running !== undefined) return { kind: "busy", state: await state() };
      rotating = true;
      const former = ring.current().id;
      try {
        const next = await putOnTop(deps);
        if (typeof next === "string") return { kind: "failed", detail: next };
        inFile = next.ids;
        ring.turn(next.key);
        resume();
        return { kind: "started", keyId: next.key.id, former };
      } catch (error) {
        return { kind: "failed", detail: `${settings.keyFile} was not changed as it should be: ${textOf(error)}` };
      } finally {
        rotating = false;
      }
    },
    stop: async () => {
      stopping.abort();
      await running;
    },
  };
}

interface OnTop {
  readonly key: KeyLine["key"];
  readonly ids: readonly string[];
}

/** The key that is to be in force, durable in the file and remembered beside the database; or why there is none. */
async function putOnTop({ settings, keys, random, ...deps }: KeyRotationDeps): Promise<OnTop | string> {
  const { keyFile } = settings;
  const { ring } = keys;
  const lines = await readKeyFile(settings);
  const current = ring.current().id;
  if (lines?.some(({ key }) => key.id === current) !== true)
    return `${keyFile} does not hold key ${current}, which is in force. Put it back`;
  const [top] = lines as [KeyLine];
  // A person has put one on top, or the last rotation broke off behind this step: it is as good as one of ours.
  const isNew = ring.get(top.key.id) === undefined;
  if (!isNew && top.key.id !== current) return `${keyFile} has an older key on top. Put key ${current} first`;
  if (lines.length >= MOST_KEYS) return `${keyFile} holds ${lines.length} keys. Remove those that no message needs`;
  const next = isNew ? top : newKeyLine(random);
  const all = isNew ? lines : [next, ...lines];
  if (!isNew) {
    await replaceKeyFile(
      keyFile,
      all.map(({ line }) => line),
    );
  }
  const ids = all.map(({ key }) => key.id);
  await deps.rememberKeys(ids);
  return { key: next.key, ids };
}

/** Nothing names another key than the current one. Lines that were put there since, by whomever, stay. */
async function dropFormer({
  settings,
  keys,
  rememberKeys,
}: KeyRotationDeps): Promise<{ readonly left: readonly string[]; readonly dropped: readonly string[] }> {
  const { keyFile } = settings;
  const { ring } = keys;
  const current = ring.current().id;
  const lines = (await readKeyFile(settings)) ?? [];
  if (!lines.some(({ key }) => key.id === current))
    throw new StoreStartError("key-missing", `${keyFile} does not hold key ${current}, which is in force. Put it back`);
  await rememberKeys([current]);
  const left = lines.filter(({ key: { id } }) => id === current || ring.get(id) === undefined);
  if (left.length < lines.length) {
    await replaceKeyFile(
      keyFile,
      left.map(({ line }) => line),
    );
  }
  const ids = left.map(({ key }) => key.id);
  return { left: ids, dropped: lines.map(({ key }) => key.id).filter((id) => !ids.includes(id)) };
}

function damagedText(damaged: number, named: readonly string[]): string {
  return `${damaged} messages fail authentication and cannot be wrapped anew: restore data_dir from a backup, or remove them. Until then the keys ${named.join(", ")} all stay`;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
