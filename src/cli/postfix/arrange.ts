/**
 * Entries of a policy table, and routes where a transport table is given, to partner files: which domain gets which
 * demand. As in Postfix, a domain with a route is judged by its next hop. Pure.
 */
import { ancestry } from "../../mail/domain-name.ts";
import { closed, type Demand } from "./demand.ts";
import { type Key, parseKey } from "./key.ts";
import type { Entry, NoEntry } from "./table.ts";
import type { Route } from "./transport.ts";

export interface Source {
  readonly line: number;
  readonly text: string;
}

export interface PartnerDraft {
  /** Of the file, without .yaml. */
  readonly id: string;
  /** `acme.example`, `.acme.example`. */
  readonly domains: readonly string[];
  readonly nextHop: readonly string[];
  readonly demand: Demand;
  /** Of the policy table. */
  readonly sources: readonly Source[];
}

export interface Arranged {
  readonly drafts: readonly PartnerDraft[];
  readonly left: readonly NoEntry[];
}

export interface Arranging {
  readonly entries: readonly (Entry | NoEntry)[];
  readonly routes: readonly Route[];
  readonly demandOf: (entry: Entry, key: Key) => Demand;
  /** Why a domain cannot get a file; undefined: it can. */
  readonly taken: (pattern: string) => string | undefined;
}

interface Planned {
  readonly entry: Entry;
  readonly key: Key;
  readonly demand: Demand;
}

interface Unit {
  readonly pattern: string;
  readonly nextHop: readonly string[];
  readonly demand: Demand;
  readonly sources: readonly Source[];
}

export function arrange(arranging: Arranging): Arranged {
  const left: NoEntry[] = [];
  const planned = new Map<string, Planned>();
  for (const entry of arranging.entries) {
    if ("why" in entry) left.push(entry);
    else plan(arranging, entry, planned, left);
  }
  const used = new Set<Planned>();
  const routed = new Map(arranging.routes.map((route) => [route.pattern, unitOfRoute(route, planned, used)]));
  const units = [...planned.values()].flatMap((one): Unit[] => {
    const pattern = patternOf(one.key);
    if (pattern === undefined) {
      if (!used.has(one)) left.push(unused(one));
      return [];
    }
    return routed.get(pattern) === undefined ? [unitOf(one, pattern)] : [];
  });
  for (const unit of routed.values()) if (unit !== undefined) units.push(unit);
  const free = units.filter(({ pattern, sources }) => {
    const why = arranging.taken(pattern);
    if (why !== undefined) left.push(...sources.map((source) => ({ ...source, why: `${pattern}: ${why}` })));
    return why === undefined;
  });
  return { drafts: merged(free), left: left.toSorted((a, b) => a.line - b.line) };
}

function plan(arranging: Arranging, entry: Entry, planned: Map<string, Planned>, left: NoEntry[]): void {
  const key = parseKey(entry.key);
  if (key.kind === "none") {
    left.push({ line: entry.line, text: entry.text, why: key.why });
    return;
  }
  const text = keyText(key);
  const before = planned.get(text)?.entry.line;
  // Two spellings of one name: an IDN in both forms.
  if (before !== undefined) left.push({ line: entry.line, text: entry.text, why: `is the same as line ${before}` });
  else planned.set(text, { entry, key, demand: arranging.demandOf(entry, key) });
}

function keyText(key: Key): string {
  if (key.kind === "none") return "";
  return key.kind === "hop" ? key.hop : (patternOf(key) ?? "");
}

function patternOf(key: Key): string | undefined {
  if (key.kind !== "domain" && key.kind !== "below") return undefined;
  return key.kind === "below" ? `.${key.domain}` : key.domain;
}

function unitOf({ entry, demand }: Planned, pattern: string): Unit {
  return { pattern, nextHop: [], demand, sources: [{ line: entry.line, text: entry.text }] };
}

/** Undefined where neither the next hops nor the domain have a line: what holds by default is no matter of this table. */
function unitOfRoute(
  { pattern, hops }: Route,
  planned: ReadonlyMap<string, Planned>,
  used: Set<Planned>,
): Unit | undefined {
  const found = [...new Set(hops.flatMap((hop) => lookUp(hop, planned) ?? []))];
  for (const one of found) used.add(one);
  const own = planned.get(pattern);
  const nextHop = hops.map(keyText);
  const [first] = found;
  if (first === undefined) {
    if (own === undefined) return undefined;
    const note = `Postfix goes by the next hop ${nextHop.join(", ")}, which has no line: this one had no effect`;
    return { ...unitOf(own, pattern), nextHop, demand: noted(own.demand, note) };
  }
  const sources = found.map(({ entry: { line, text } }) => ({ line, text }));
  if (found.some(({ demand }) => demandText(demand) !== demandText(first.demand))) {
    return { pattern, nextHop, demand: closed("its next hops have different lines: choose one"), sources };
  }
  const note = `Postfix goes by the next hop: line ${own?.entry.line ?? 0} had no effect`;
  const demand = own === undefined || own === first ? first.demand : noted(first.demand, note);
  return { pattern, nextHop, demand, sources };
}

function noted(demand: Demand, note: string): Demand {
  return { ...demand, notes: [...demand.notes, note] };
}

/** Parents are looked up for plain names only (postconf(5), smtp_tls_policy_maps). */
function lookUp(hop: Key, planned: ReadonlyMap<string, Planned>): Planned | undefined {
  const exact = planned.get(keyText(hop));
  if (exact !== undefined || hop.kind !== "domain") return exact;
  for (const parent of ancestry(hop.domain)) {
    const found = parent === hop.domain ? undefined : planned.get(`.${parent}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function unused({ entry: { line, text }, key }: Planned): NoEntry {
  const hop = keyText(key);
  const why = `${hop} is a next hop of no domain known here: give --transport FILE, or write next_hop: "${hop}" into the partner's file`;
  return { line, text, why };
}

function demandText({ tls, exception, verdict }: Demand): string {
  return JSON.stringify([verdict, tls, exception]);
}

/** A domain and the names below it are one partner where they are treated alike. */
function merged(units: readonly Unit[]): PartnerDraft[] {
  const byPattern = new Map(units.map((unit) => [unit.pattern, unit]));
  return units.flatMap((unit): PartnerDraft[] => {
    const { pattern, nextHop, demand, sources } = unit;
    const isBelow = pattern.startsWith(".");
    const other = byPattern.get(isBelow ? pattern.slice(1) : `.${pattern}`);
    const alike = other !== undefined && unitText(other) === unitText(unit);
    if (isBelow) return alike ? [] : [{ id: `_below${pattern}`, domains: [pattern], nextHop, demand, sources }];
    if (!alike) return [{ id: pattern, domains: [pattern], nextHop, demand, sources }];
    const notes = [...new Set([...demand.notes, ...other.demand.notes])];
    const all = [...sources, ...other.sources].toSorted((a, b) => a.line - b.line);
    return [{ id: pattern, domains: [pattern, other.pattern], nextHop, demand: { ...demand, notes }, sources: all }];
  });
}

function unitText({ nextHop, demand }: Unit): string {
  return `${nextHop.join(" ")} ${demandText(demand)}`;
}
