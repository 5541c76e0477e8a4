/**
 * The JSON Schemas for completion in editors, made from the schemas the loader itself uses. Run as a program, this
 * file writes them beside the shipped configuration; a test compares them with what is committed.
 */
import { writeFileSync } from "node:fs";
import * as z from "zod";
import { gateway } from "./schema/gateway.ts";
import { partner } from "./schema/partner.ts";

/** By file name below config/. */
export function jsonSchemas(): Readonly<Record<string, string>> {
  return {
    "sealpost.schema.json": render(gateway, "sealpost.yaml"),
    "partner.schema.json": render(partner, "one file below partners/"),
  };
}

function render(schema: z.ZodType, title: string): string {
  const json = z.toJSONSchema(schema, { io: "input", target: "draft-7", reused: "inline" });
  return `${JSON.stringify({ ...json, title }, undefined, 1)}\n`;
}

if (import.meta.main) {
  for (const [name, text] of Object.entries(jsonSchemas())) {
    writeFileSync(new URL(`../../config/${name}`, import.meta.url), text);
  }
}
