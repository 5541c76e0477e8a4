/**
 * Reads a sealed body back, record by record. A byte is given out only after its record has been authenticated;
 * a body that is shorter, longer or other than what was stored ends the stream with StoreError "damaged".
 */
import { Readable } from "node:stream";
import { codeOf, type Disk, type ReadableFile, toStoreError } from "./disk.ts";
import { StoreError } from "./queue.ts";
import { type MessageKey, openRecord, RECORD_BYTES, TAG_BYTES } from "./seal.ts";

export interface StoredBody {
  readonly key: MessageKey;
  /** Octets in clear. */
  readonly length: number;
  /** The sealed body itself, or the path of its file. */
  readonly from: Uint8Array | string;
}

export function readBody(body: StoredBody, disk: Pick<Disk, "open">): Readable {
  return Readable.from(records(body, disk), { objectMode: false, highWaterMark: RECORD_BYTES });
}

async function* records(body: StoredBody, disk: Pick<Disk, "open">): AsyncGenerator<Buffer> {
  const file = typeof body.from === "string" ? await openFile(body.from, body.key, disk) : inMemory(body.from);
  try {
    const count = Math.max(1, Math.ceil(body.length / RECORD_BYTES));
    if (file.size !== body.length + count * TAG_BYTES) {
      throw new StoreError("damaged", `The body of message ${body.key.messageId} is not as long as it was`);
    }
    const sealed = new Uint8Array(RECORD_BYTES + TAG_BYTES);
    for (let record = 0; record < count; record += 1) {
      const read = await file.read(sealed, sealed.length, record * sealed.length).catch((error: unknown) => {
        throw toStoreError(error);
      });
      const place = { stream: "body", record, last: record === count - 1 } as const;
      const clear = openRecord(body.key, place, sealed.subarray(0, read));
      if (clear.length > 0) yield clear;
    }
  } finally {
    await file.close();
  }
}

async function openFile(path: string, key: MessageKey, disk: Pick<Disk, "open">): Promise<ReadableFile> {
  try {
    return await disk.open(path);
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw toStoreError(error);
    throw new StoreError("damaged", `The body of message ${key.messageId} is missing`, error);
  }
}

function inMemory(bytes: Uint8Array): ReadableFile {
  return {
    size: bytes.length,
    read: async (into, length, position) => {
      const part = bytes.subarray(position, position + length);
      into.set(part);
      return part.length;
    },
    close: async () => undefined,
  };
}
