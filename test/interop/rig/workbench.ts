/**
 * What one test file opens and must close again: temporary folders and started peers, ended in reverse order.
 * Nothing a test starts may outlive it.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Workbench {
  /** A fresh folder, gone at the end. Others may pass through it, since Postfix drops its rights. */
  readonly folder: (name: string) => Promise<string>;
  /** Runs at the end, the last one first. */
  readonly atEnd: (undo: () => Promise<unknown> | void) => void;
  readonly clear: () => Promise<void>;
}

export function createWorkbench(): Workbench {
  const undos: (() => Promise<unknown> | void)[] = [];
  return {
    folder: async (name) => {
      const folder = await mkdtemp(join(tmpdir(), `sealpost-interop-${name}-`));
      await chmod(folder, 0o711);
      undos.push(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
      return folder;
    },
    atEnd: (undo) => void undos.push(undo),
    clear: async () => {
      const failures: unknown[] = [];
      for (const undo of undos.splice(0).reverse()) {
        try {
          await undo();
        } catch (error) {
          failures.push(error);
        }
      }
      if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join("\n"));
    },
  };
}
