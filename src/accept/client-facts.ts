/**
 * What is known of the client of one session: by its socket, by PROXY, XCLIENT or XFORWARD, TLS and AUTH. Forgets what
 * a new identity must not inherit. XFORWARD only changes what is logged, never what is permitted.
 */
import { isIP } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Client } from "../mail/delivery.ts";
import type { Parameters } from "./command-line.ts";
import { shownCertificate } from "./handshake.ts";
import { normalAddress } from "./networks.ts";
import type { Peer, ShownCertificate } from "./permission.ts";
import type { User } from "./settings.ts";

export class ClientFacts {
  readonly #origin: { readonly address: string; readonly port: number };
  #address: string;
  #port: number;
  #name: string | undefined;
  #user: User | undefined;
  #certificate: ShownCertificate | undefined;
  #tls: { readonly version: string; readonly cipher: string } | undefined;
  #forwarded: { address?: string; port?: number; name?: string; helo?: string } = {};

  constructor(address: string, port: number) {
    this.#origin = { address: normalAddress(address), port };
    this.#address = this.#origin.address;
    this.#port = port;
  }

  /** By the socket or PROXY: what XCLIENT and XFORWARD are judged by. */
  get origin(): { readonly address: string; readonly port: number } {
    return this.#origin;
  }

  get tlsVersion(): string | undefined {
    return this.#tls?.version;
  }

  peer(): Peer {
    return {
      address: this.#address,
      ...(this.#user && { user: this.#user }),
      ...(this.#certificate && { certificate: this.#certificate }),
    };
  }

  /** RFC 3207 §4.2: nothing said before the handshake counts after it. */
  secured(socket: TLSSocket): void {
    const { name, standardName } = socket.getCipher();
    this.#tls = { version: socket.getProtocol() ?? "unknown", cipher: standardName || name };
    this.#certificate = shownCertificate(socket);
    this.#user = undefined;
  }

  authenticated(user: User): void {
    this.#user = user;
  }

  /** XCLIENT: from here on the session is that client's. False when a value is not valid. */
  become(attributes: Parameters, users: readonly User[]): boolean {
    const address = readAddress(attributes);
    const port = readPort(attributes);
    const login = attributes.get("LOGIN");
    const user = users.find(({ name }) => name === login);
    if (address === null || port === null || (login !== undefined && user === undefined)) return false;
    this.#address = address ?? this.#address;
    this.#port = port ?? (address === undefined ? this.#port : 0);
    this.#name = attributes.get("NAME");
    this.#certificate = undefined;
    this.#user = user;
    this.#forwarded = {};
    return true;
  }

  /** XFORWARD. False when a value is not valid. */
  forward(attributes: Parameters): boolean {
    const address = readAddress(attributes);
    const port = readPort(attributes);
    if (address === null || port === null) return false;
    const name = attributes.get("NAME");
    const helo = attributes.get("HELO");
    this.#forwarded = {
      ...this.#forwarded,
      ...(address !== undefined && { address }),
      ...(port !== undefined && { port }),
      ...(name !== undefined && { name }),
      ...(helo !== undefined && { helo }),
    };
    return true;
  }

  client(helo: string, via: Client["via"]): Client {
    const shown = { address: this.#address, port: this.#port, helo, ...this.#forwarded };
    const name = this.#forwarded.name ?? this.#name;
    const certificate = this.#certificate?.subject;
    return {
      ...shown,
      ...(name !== undefined && { name }),
      via,
      ...(via === "auth" && this.#user && { user: this.#user.name }),
      ...(this.#tls && { tls: { ...this.#tls, ...(certificate !== undefined && { certificate }) } }),
    };
  }
}

/** null: not an address. */
function readAddress(attributes: Parameters): string | undefined | null {
  const text = attributes.get("ADDR")?.replace(/^ipv6:/i, "");
  if (text === undefined) return undefined;
  const address = normalAddress(text);
  return isIP(address) === 0 ? null : address;
}

/** null: not a port. */
function readPort(attributes: Parameters): number | undefined | null {
  const text = attributes.get("PORT");
  if (text === undefined) return undefined;
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : null;
}
