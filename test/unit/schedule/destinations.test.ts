import { expect, it } from "vitest";
import { createDestinations } from "../../../src/schedule/destinations.ts";
import { mistrustedUntil } from "./rig.ts";

it("a policy that has been met opens its host for its parts, too, and for no other whose name begins like it", () => {
  const places = createDestinations({ monotonic: () => 0, concurrency: () => 1, rate: () => 0, delay: () => 60_000 });
  const place = places.of("mx.acme.test");
  const names = ["acme", "acme/at encrypt", "acme/tls-required-no", "acme2", "", "/tls-required-no"];
  for (const name of names) expect(places.heed(place, name, mistrustedUntil(60_000))).toBe("closed");
  const closed = () => names.filter((name) => places.closed(place, name) !== undefined);
  places.heed(place, "acme/tls-required-no", { reached: true });
  expect(closed()).toEqual(["acme", "acme/at encrypt", "acme2", "", "/tls-required-no"]);
  places.heed(place, "acme", { reached: true });
  expect(closed()).toEqual(["acme2", "", "/tls-required-no"]);
  places.heed(place, "", { reached: true });
  expect(closed()).toEqual(["acme2"]);
});
