/** Bodies as streams that cut anywhere, and reuse their memory as the spool may. */
export function chunked(content: Buffer, size: number): () => AsyncIterable<Buffer> {
  return async function* () {
    const memory = Buffer.alloc(size);
    for (let at = 0; at < content.length; at += size) {
      const length = content.copy(memory, 0, at, Math.min(content.length, at + size));
      yield memory.subarray(0, length);
      memory.fill(0xee); // what was not copied is lost
    }
  };
}

export async function collect(content: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of content) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

export const CHUNK_SIZES = [1, 2, 3, 7, 64 * 1024] as const;
