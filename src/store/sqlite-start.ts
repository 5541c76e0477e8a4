/**
 * Opens the store: first looks and checks the key, which changes nothing; then opens the database, voids all leases
 * and sweeps body files that no row names. A refusal leaves the store as it was.
 */
import { join } from "node:path";
import type { Clock } from "../runtime/clock.ts";
import type { Random } from "../runtime/random.ts";
import { messageIdOfFile } from "./body-file.ts";
import { type Disk, ensureFile } from "./disk.ts";
import type { FreeSpace } from "./free-space.ts";
import { SCHEMA_VERSION } from "./migrations/migrate.ts";
import type { StoreFacts } from "./key-protocol.ts";
import type { KeyRing, StoreKeys } from "./key-ring.ts";
import { loadKeyRing, wrongKey } from "./queue-key.ts";
import type { StoreSettings } from "./settings.ts";
import { type Link, openLink } from "./sqlite-link.ts";
import type { EngineOpened, EngineStart } from "./sqlite-protocol.ts";
import { StoreStartError } from "./start-error.ts";
import { lookAtStore, type StoreFiles, type StoreIdentity, storeFiles, writeIdentity } from "./store-identity.ts";
import { openStoreKeys } from "./store-keys.ts";

const PAGE_BYTES = 4096;
/** A full log, its copy, and the deletes that make space again; without them a full disk could never recover. */
const LOGS_TO_SPARE = 3;

export interface OpenStoreDeps {
  readonly settings: StoreSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly space: FreeSpace;
  /** Told how many octets of disk the database needs free for its own work. */
  readonly log: { needs: number };
  /** Deliveries leased by this process. */
  readonly held: () => readonly string[];
}

export interface OpenedStore {
  readonly link: Link;
  readonly keys: StoreKeys;
  /** Of the store; binds the wrapped secrets to it. */
  readonly storeId: string;
  /** Remembers beside the database which queue keys are wanted: before anything is wrapped by another one. */
  readonly rememberKeys: (keyIds: readonly string[]) => Promise<void>;
  readonly bodies: string;
  /** Body files of messages of which it is unknown whether they were stored; forgotten, files and all, at the next opening. */
  readonly doubt: Set<string>;
}

export async function openStore(deps: OpenStoreDeps): Promise<OpenedStore> {
  const { settings, disk, random } = deps;
  const files = storeFiles(settings.dataDir);
  const { exists, identity } = await lookAtStore(files, disk);
  if (identity !== undefined && identity.schema > SCHEMA_VERSION) {
    const text = `The queue in ${files.folder} has schema ${identity.schema}, written by a newer program; this one knows ${SCHEMA_VERSION}. It was not touched`;
    throw new StoreStartError("newer-schema", text);
  }
  const ring = await loadKeyRing(settings, { exists, keyIds: identity?.keyIds }, random);
  const doubt = new Set<string>();
  const remember = (keyIds: readonly string[]): Promise<void> =>
    writeIdentity(files, { schema: SCHEMA_VERSION, keyIds }, disk);
  try {
    await disk.makeFolder(files.bodies);
    // Before the schema changes, so that an older program refuses even half-way.
    if (identity !== undefined && identity.schema < SCHEMA_VERSION) await remember(identity.keyIds);
    const { link, store } = await openDatabase(deps, { files, ring, doubt });
    try {
      const wanted = [...new Set([ring.current().id, ...store.named])];
      if (!isSame(identity, wanted)) await remember(wanted);
      const { secrets, made } = openStoreKeys(store, ring, random);
      if (made.length > 0) await link.call("putStoreKeys", { keyId: store.keyId, rows: made });
      const keys = { ring, ...secrets };
      return { link, keys, storeId: store.id, rememberKeys: remember, bodies: files.bodies, doubt };
    } catch (error) {
      await link.close();
      throw error;
    }
  } catch (error) {
    if (error instanceof StoreStartError) throw error;
    const text = error instanceof Error ? error.message : String(error);
    throw new StoreStartError("cannot-open", `The queue in ${files.folder} cannot be opened: ${text}`, error);
  }
}

function isSame(identity: StoreIdentity | undefined, keyIds: readonly string[]): boolean {
  return identity?.schema === SCHEMA_VERSION && identity.keyIds.join() === keyIds.join();
}

async function openDatabase(
  deps: OpenStoreDeps,
  at: { readonly files: StoreFiles; readonly ring: KeyRing; readonly doubt: Set<string> },
): Promise<{ link: Link; store: StoreFacts }> {
  const { settings, disk, space, clock } = deps;
  const { files, ring, doubt } = at;
  await space.measure();
  await ensureFile(files.database);
  const pages = checkpointPages(space.last());
  deps.log.needs = LOGS_TO_SPARE * pages * PAGE_BYTES;
  const start = (): EngineStart => ({
    database: files.database,
    keyIds: ring.ids(),
    now: clock.now(),
    held: deps.held(),
    forget: [...new Set([...doubt].map(messageIdOfFile))],
    checkpointPages: pages,
  });
  const onReopened = ({ filed }: { readonly filed: readonly string[] }): void => {
    const kept = new Set(filed);
    for (const name of doubt) if (!kept.has(name)) disk.remove(join(files.bodies, name)).catch(() => undefined);
    doubt.clear();
  };
  const { link, opened } = await openLink({ clock, start, onReopened });
  if (opened.kind === "refused") throw refusal(settings, ring, opened);
  try {
    await disk.syncFolder(files.folder); // SQLite syncs the names of its logs, not that of a new database
    await sweep(disk, files.bodies, new Set(opened.filed));
  } catch (error) {
    await link.close();
    throw error;
  }
  return { link, store: opened.store };
}

function refusal(settings: StoreSettings, ring: KeyRing, opened: EngineOpened & { kind: "refused" }): StoreStartError {
  if (opened.missing !== undefined) return wrongKey(settings, opened.missing, ring.ids());
  return new StoreStartError(opened.problem, opened.message);
}

async function sweep(disk: Disk, bodies: string, filed: ReadonlySet<string>): Promise<void> {
  for (const name of await disk.list(bodies)) if (!filed.has(name)) await disk.remove(join(bodies, name));
}

/** On a small disk the log is kept small: copying it into the database needs the same space again. */
function checkpointPages(freeBytes: number): number {
  return Math.trunc(Math.min(4_000, Math.max(64, freeBytes / 32 / PAGE_BYTES)));
}
