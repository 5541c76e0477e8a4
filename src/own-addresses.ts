/** Tells whether a host found for a delivery is this gateway itself: sending there would be a loop (RFC 5321 §5.1). */
import { networkInterfaces } from "node:os";

export interface OwnPlaces {
  readonly hostname: () => string;
  /** Port of MX hosts: our own name there is us, whatever port it is mapped to here. */
  readonly mxPort: () => number;
  /** Where our listeners are bound. */
  readonly bound: () => readonly { readonly address: string; readonly port: number }[];
}

/** `address` is undefined where only the name is known. */
export function ownAddresses(places: OwnPlaces): (address: string | undefined, port: number, name: string) => boolean {
  return (address, port, name) => {
    const listening = places.bound().filter((place) => place.port === port);
    if (name === places.hostname().toLowerCase() && (port === places.mxPort() || listening.length > 0)) return true;
    if (address === undefined) return false;
    return listening.some((place) => place.address === address || (isAny(place.address) && isOfThisMachine(address)));
  };
}

function isAny(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

function isOfThisMachine(address: string): boolean {
  if (address === "::1" || address.startsWith("127.")) return true;
  return Object.values(networkInterfaces()).some((entries) => entries?.some((entry) => entry.address === address));
}
