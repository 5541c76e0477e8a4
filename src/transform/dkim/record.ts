/**
 * The DNS record of a DKIM key (RFC 6376 §3.6.1, RFC 8463 §4): as it is to be published, and whether what is published
 * is that. Pure. A look-up that failed is never taken for a record that is missing.
 */
import { createPublicKey, type KeyObject } from "node:crypto";
import type { DkimKeySettings } from "../../mail/treatment.ts";
import { dkimSigner } from "./key.ts";
import { readTags, withoutBlanks } from "./tag-list.ts";

export interface DkimRecord {
  /** Without a final dot. */
  readonly name: string;
  /** All of it in one text. */
  readonly value: string;
}

/** Throws DkimKeyError where the key is none. */
export function dkimRecord(settings: DkimKeySettings): DkimRecord {
  const { publicKey, algorithm } = dkimSigner(settings);
  const type = algorithm === "rsa-sha256" ? "rsa" : "ed25519";
  const der = publicKey.export({ type: "spki", format: "der" });
  const p = (type === "rsa" ? der : der.subarray(-RAW_OCTETS)).toString("base64");
  return { name: nameOf(settings), value: `v=DKIM1; k=${type}; p=${p}` };
}

/** RFC 1035 §3.3: a string of a record has at most 255 octets. */
export function zoneLine({ name, value }: DkimRecord): string {
  const strings = value.match(/.{1,255}/g) ?? [""];
  return `${name}. IN TXT ( ${strings.map((one) => `"${one}"`).join(" ")} )`;
}

/** What DNS says: each record with its strings joined. */
export type PublishedTxt = readonly string[] | "failed" | "absent";

export interface RecordProblem {
  /** `unknown`: it could not be looked up. `testing`: it works, but whoever verifies may ignore the signature. */
  readonly kind: "missing" | "several" | "unreadable" | "revoked" | "other-key" | "unusable" | "testing" | "unknown";
  /** A sentence without its full stop, and what to do as another. */
  readonly problem: string;
  readonly remedy: string;
}

export function compareRecord(settings: DkimKeySettings, txt: PublishedTxt): "ok" | RecordProblem {
  const name = nameOf(settings);
  const publish = `publish at ${name}: ${dkimRecord(settings).value}`;
  const problem = (kind: RecordProblem["kind"], what: string, remedy = publish): RecordProblem => ({
    kind,
    problem: what,
    remedy,
  });
  if (txt === "failed")
    return problem("unknown", `The record ${name} cannot be looked up`, "see that the resolver answers");
  const [record, another] = txt === "absent" ? [] : txt;
  if (record === undefined) return problem("missing", `There is no record at ${name}`);
  if (another !== undefined) return problem("several", `There are several records at ${name}`, `leave one; ${publish}`);
  const tags = readTags(record);
  if (tags === undefined || (tags.get("v") ?? "DKIM1") !== "DKIM1")
    return problem("unreadable", `What is published at ${name} is no DKIM key`);
  const p = withoutBlanks(tags.get("p") ?? "");
  if (p === "") return problem("revoked", `The record at ${name} says that the key was revoked`);
  const restricted = restriction(tags);
  if (restricted !== undefined) return problem("unusable", `The record at ${name} ${restricted}`);
  if (!isSameKey(settings, tags.get("k") ?? "rsa", p))
    return problem("other-key", `The record at ${name} is that of another key`);
  if (!listOf(tags.get("t") ?? "").includes("y")) return "ok";
  const untested = `take t=y out of it; ${publish}`;
  return problem("testing", `The record at ${name} says that DKIM is only being tested`, untested);
}

function restriction(tags: ReadonlyMap<string, string>): string | undefined {
  const [hashes, services] = [tags.get("h"), tags.get("s")];
  if (hashes !== undefined && !listOf(hashes).includes("sha256")) return "does not permit SHA-256 (h=)";
  const forMail = services === undefined || listOf(services).some((one) => one === "*" || one === "email");
  return forMail ? undefined : "is not for mail (s=)";
}

function isSameKey(settings: DkimKeySettings, type: string, p: string): boolean {
  const { publicKey, algorithm } = dkimSigner(settings);
  if (type !== (algorithm === "rsa-sha256" ? "rsa" : "ed25519")) return false;
  const octets = Buffer.from(p, "base64");
  if (type === "ed25519") return octets.equals(publicKey.export({ type: "spki", format: "der" }).subarray(-RAW_OCTETS));
  // RFC 6376 §3.6.1 speaks of RSAPublicKey, its examples and everybody else of SubjectPublicKeyInfo.
  return (["spki", "pkcs1"] as const).some((form) => readPublicKey(octets, form)?.equals(publicKey) === true);
}

function readPublicKey(key: Buffer, type: "spki" | "pkcs1"): KeyObject | undefined {
  try {
    return createPublicKey({ key, format: "der", type });
  } catch {
    return undefined;
  }
}

/** The public key of RFC 8032 itself, at the end of its SubjectPublicKeyInfo. */
const RAW_OCTETS = 32;

function nameOf({ selector, domain }: DkimKeySettings): string {
  return `${selector}._domainkey.${domain}`;
}

function listOf(value: string): string[] {
  return withoutBlanks(value).split(":");
}
