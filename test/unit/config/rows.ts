/** Rows of the tables of wrong configurations: each is told at one place, with one message and its remedy. */
import { expect } from "vitest";
import { problems, type Tree } from "./memory.ts";

export type Row = readonly [title: string, tree: Tree, place: string, message: string, remedy: string];

/** Message and remedy are parts of what is said. */
export async function expectProblem([, tree, place, message, remedy]: Row): Promise<void> {
  const found = await problems(tree);
  expect(found).toHaveLength(1);
  expect(found[0]).toMatch(new RegExp(`^${escaped(place)} .*${escaped(message)}.* → .*${escaped(remedy)}`));
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
