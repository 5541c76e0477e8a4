/** Blocks of a notice as plain text and as HTML. The HTML has no links, images or scripts, and every text is escaped. */

export type Block =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "list"; readonly items: readonly string[] };

const WIDTH = 76;
const STYLE = "font-family: sans-serif; line-height: 1.5; max-width: 42em";

export function renderText(blocks: readonly Block[]): string {
  const texts = blocks.map((block) => {
    if (block.kind === "text") return wrap(block.text, "");
    return block.items.map((item) => `  ${wrap(item, "    ")}`).join("\r\n");
  });
  return `${texts.join("\r\n\r\n")}\r\n`;
}

export function renderHtml(blocks: readonly Block[], language: string): string {
  const texts = blocks.map((block) => {
    if (block.kind === "text") return `<p>${escape(block.text)}</p>`;
    return `<ul>\r\n${block.items.map((item) => `<li>${escape(item)}</li>`).join("\r\n")}\r\n</ul>`;
  });
  return `<!DOCTYPE html>\r\n<html lang="${escape(language)}"><body style="${STYLE}">\r\n${texts.join("\r\n")}\r\n</body></html>\r\n`;
}

/** Breaks at spaces; `indent` stands before every line but the first. */
function wrap(text: string, indent: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = `${indent}${word}`;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line].join("\r\n");
}

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => ESCAPES[letter] ?? "");
}
