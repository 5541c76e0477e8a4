/**
 * The ARC chain a message comes with (RFC 8617 §5.2): whether it holds, and where a set of ours would go. What it says
 * goes into that set, and is never changed once it has been sealed.
 */
import { fieldText, parseHeader } from "../header-block.ts";
import { arcFields } from "./arc-fields.ts";
import { readTags, withoutBlanks } from "./tag-list.ts";
import { type LookUpTxt, type StreamedMessage, type Verified, verifyMessage } from "./verify.ts";

export interface ArcChain {
  readonly status: "none" | "pass" | "fail";
  /** `i=` of the set to add. */
  readonly next: number;
  /** What was found of the signatures, as results of RFC 8601: `dkim=pass header.d=example.org`. */
  readonly results: readonly string[];
}

/** RFC 8617 §4.2.1 */
export const MOST_SETS = 50;

/** A word where no set of ours may be added (§5.1 steps 2 and 3), or what the chain is worth could not be found out. */
export async function readArcChain(
  message: StreamedMessage,
  txt: LookUpTxt,
  now: number,
): Promise<ArcChain | { readonly unsealed: string }> {
  const sets = arcFields(parseHeader(message.header));
  const newest = Math.max(0, ...sets.map(({ instance }) => instance));
  if (newest >= MOST_SETS) return { unsealed: `its ARC chain has ${newest} sets already` };
  const seals = sets.filter(({ field, instance }) => instance === newest && field.name.toLowerCase() === "arc-seal");
  if (seals.some(({ field }) => readTags(fieldText(field))?.get("cv")?.toLowerCase() === "fail"))
    return { unsealed: "its ARC chain had failed before it came here" };
  const verified = await verifyMessage(message, txt, now);
  if (verified === undefined) return { unsealed: "its signatures could not be checked" };
  // Fields that no set can be made of are a chain that failed, too (§5.2 step 1).
  return { status: verified.chain, next: newest + 1, results: verified.signatures.map(resultOf) };
}

/** RFC 8601 §2.7.1. Names that are none are left out, since they would be written by whoever sent the message. */
function resultOf({ field, result }: Verified["signatures"][number]): string {
  const tags = readTags(fieldText(field));
  const properties = ["d", "s", "a"].flatMap((tag) => {
    const value = withoutBlanks(tags?.get(tag) ?? "");
    return /^[A-Za-z0-9._-]{1,253}$/.test(value) ? [`header.${tag}=${value}`] : [];
  });
  return [`dkim=${result}`, ...properties].join(" ");
}
