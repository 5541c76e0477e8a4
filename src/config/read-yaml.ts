/**
 * YAML text to a located tree: core schema, no custom tags, no merge keys, bounded size. What YAML itself trips over
 * (`*.acme.example`, `[host]:25`, tabs) is told with its place and the cure. Never throws, whatever the text.
 */
import { LineCounter, parseDocument } from "yaml";
import type { Origin } from "../decide/policy.ts";
import type { Environment } from "./environment.ts";
import type { Located } from "./located.ts";
import type { Problems } from "./problems.ts";
import { DEPTH, treeOf } from "./yaml-tree.ts";
import { syntaxFlaws } from "./yaml-traps.ts";

export interface Source {
  readonly file: string;
  readonly text: string;
}

/** The tree, or undefined when something in the text was reported to `problems`. */
export function readYaml(source: Source, env: Environment, problems: Problems): Located | undefined {
  const { file } = source;
  const text = source.text.startsWith("\ufeff") ? source.text.slice(1) : source.text;
  const lines = new LineCounter();
  const at = (offset: number): Origin => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const document = parse(text, lines);
  if (document === undefined) {
    problems.add({ file, line: 1, column: 1 }, "nested too deeply for YAML", `nest at most ${DEPTH} levels`);
    return undefined;
  }
  const flaws = syntaxFlaws(text, document.errors);
  for (const { offset, message, remedy } of flaws) problems.add(at(offset), message, remedy);
  if (flaws.length > 0) return undefined;
  return treeOf(document.contents, {
    env,
    at,
    report: (offset, message, remedy) => problems.add(at(offset), message, remedy),
  });
}

/** undefined: the parser recurses, and thousands of levels exhaust its stack. */
function parse(text: string, lineCounter: LineCounter): ReturnType<typeof parseDocument> | undefined {
  try {
    return parseDocument(text, {
      lineCounter,
      schema: "core",
      version: "1.2",
      strict: true,
      uniqueKeys: false, // compares each key with every other; the walk below does it in one pass
      merge: false,
      prettyErrors: false,
      logLevel: "error", // "silent" would also hide a second document
    });
  } catch {
    return undefined;
  }
}
