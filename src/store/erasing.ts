/** Takes one address out of what is kept, wherever it stands in a text, in any case. Pure. */

const GONE = "erased";

/** Whole addresses only: what merely ends or begins like it is another one. */
export function erased(text: string, address: string): string {
  const wanted = address.toLowerCase();
  if (wanted === "") return text;
  const lower = text.toLowerCase();
  // Lower case may have another length in some scripts: then the places would not agree.
  const source = lower.length === text.length ? text : lower;
  let result = "";
  let from = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, at + 1)) {
    if (at < from || !isWhole(lower, at, at + wanted.length)) continue;
    result += source.slice(from, at) + GONE;
    from = at + wanted.length;
  }
  return result + source.slice(from);
}

function isWhole(text: string, from: number, to: number): boolean {
  const before = text[from - 1] ?? " ";
  const behind = text.slice(to, to + 2);
  return !/[\w.+%&'*/=?^`{|}~!#$-]/.test(before) && !/^(?:[\w-]|\.\w)/.test(behind);
}
