/** The value of one entry of a policy table to what it demands here. Pure, but for the files that it asks about. */
import { attributeParts } from "./attributes.ts";
import { type Asked, closed, type Demand, demandOf } from "./demand.ts";
import { levelPart } from "./levels.ts";
import { policyValue } from "./table.ts";

export function lineDemand(value: string, asked: Asked): Demand {
  const { level, attributes, malformed } = policyValue(value);
  if (malformed.length > 0) {
    return closed(`not of the form name=value, so that Postfix lets the mail wait: ${malformed.join(" ")}`);
  }
  return demandOf([levelPart(level, attributes, asked), ...attributeParts(level, attributes, asked)]);
}
