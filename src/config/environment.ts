/**
 * `${NAME}` and `${NAME:-default}` in configuration values. Reads only the environment it is handed;
 * a value never appears in a message, since it may be a secret.
 */
import type { Scalar } from "./located.ts";
import { type Flaw, shown } from "./problems.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const REFERENCE = /\$\$\{|\$\{([^}]*)\}?/g;
const NAME = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([^]*))?$/;

/** The text with its references replaced; `$${` stands for a literal `${`. An empty variable counts as unset where a default is written. */
export function expand(text: string, env: Environment): string | Flaw {
  if (!text.includes("${")) return text;
  let flaw: Flaw | undefined;
  const expanded = text.replaceAll(REFERENCE, (whole: string, inside: string | undefined) => {
    if (whole === "$${") return "${";
    const [, name, fallback] = NAME.exec(inside ?? "") ?? [];
    if (name === undefined || !whole.endsWith("}")) {
      flaw ??= {
        message: `${shown(whole)} is not a reference to the environment`,
        remedy: "write ${NAME} or ${NAME:-default}",
      };
      return "";
    }
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    if (value === undefined) {
      flaw ??= {
        message: `the environment variable ${name} is not set`,
        remedy: `set it, or write \${${name}:-default}`,
      };
    }
    return value ?? "";
  });
  return flaw ?? expanded;
}

/** What an unquoted scalar means by the YAML core schema, once its references are replaced. */
export function resolvePlain(text: string): Scalar {
  if (/^[-+]?\d{1,15}$/.test(text)) return Number(text);
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE)$/.test(text)) return false;
  return text;
}
