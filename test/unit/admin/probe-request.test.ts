import { expect, it } from "vitest";
import { readProbeRequest } from "../../../src/admin/probe-request.ts";

it.each([
  [{ domain: "ACME.example." }, { domain: "acme.example", transcript: false }],
  [{ domain: "büro.example" }, { domain: "xn--bro-hoa.example", transcript: false }],
  [{ domain: "[192.0.2.1]" }, { domain: "[192.0.2.1]", transcript: false }],
  [
    { domain: "acme.example", host: "MX1.acme.example", level: "dane-only", transcript: true },
    { domain: "acme.example", host: "mx1.acme.example", level: "dane-only", transcript: true },
  ],
  [
    { domain: "acme.example", host: "2001:DB8::1" },
    { domain: "acme.example", host: "2001:db8::1", transcript: false },
  ],
])("reads %o in one form", (given, request) => expect(readProbeRequest(given)).toEqual({ request }));

it.each([
  [{}, "domain"],
  [{ domain: "acme..example" }, "domain"],
  [{ domain: 7 }, "domain"],
  [{ domain: "acme.example", host: "mx 1" }, "host"],
  [{ domain: "acme.example", host: null }, "host"],
  [{ domain: "acme.example", level: "dane" }, "level"],
  [{ domain: "acme.example", level: "toString" }, "level"],
  [{ domain: "acme.example", transcript: "yes" }, "transcript"],
  [{ domain: "acme.example", mail: "x" }, "mail"],
])("refuses %o with what to write instead", (given, word) => {
  const read = readProbeRequest(given);
  expect(read).toMatchObject({ error: expect.stringContaining(word) as string });
  expect("remedy" in read && read.remedy).toMatch(/\.$/);
});
