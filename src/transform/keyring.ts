/** Our own names and keys, made ready once per configuration: who is our own side, and what signs for whom. */
import { ancestry } from "../mail/domain-name.ts";
import { isAddressLiteral, type Mailbox, mailboxKey } from "../mail/mailbox.ts";
import type { DkimKeySettings, SmimeSignerSettings } from "../mail/treatment.ts";
import { type DkimKey, dkimSigner } from "./dkim/key.ts";
import { type OwnSide, ownSide } from "./own-side.ts";
import { type Signer, toSigner } from "./smime/signed-data.ts";

export interface Keyring {
  readonly own: OwnSide;
  readonly domains: ReadonlySet<string>;
  /** By own domain; every one is there. */
  readonly dkim: ReadonlyMap<string, readonly DkimKey[]>;
  /** In force at `now` (epoch ms): of the address itself, else of its domain, or the nearest of ours above it. */
  readonly signerFor: (author: Mailbox, now: number) => Signer | undefined;
}

export interface OwnKeys {
  readonly domain: string;
  readonly dkim: readonly DkimKeySettings[];
  readonly smime: readonly SmimeSignerSettings[];
  /** Another name of the domain: mail from it is ours, too, and has no keys of its own. */
  readonly tlsOnlyAlias?: string;
}

/** Throws DkimKeyError or SmimeSignerError for settings that config/ should have refused. */
export function keyringOf(own: Pick<OwnSide, "hostname" | "isClientAddress">, keys: readonly OwnKeys[]): Keyring {
  const signers = new Map(
    keys.map(({ domain, smime }) => [domain, smime.map((one) => ({ address: one.address, signer: toSigner(one) }))]),
  );
  const domains = ownNames(keys);
  return {
    own: ownSide({ ...own, domains }),
    domains: new Set(domains),
    dkim: new Map(keys.map(({ domain, dkim }) => [domain, dkim.map(dkimSigner)])),
    signerFor: (author, now) => {
      const names = isAddressLiteral(author.domain) ? [] : [...ancestry(author.domain)];
      const domain = names.find((name) => signers.has(name));
      const there = (signers.get(domain ?? "") ?? []).filter(
        ({ signer: { certificate } }) => certificate.notBefore <= now && now < certificate.notAfter,
      );
      const chosen =
        there.find(({ address }) => address === mailboxKey(author)) ??
        there.find(({ address }) => address === undefined);
      return chosen?.signer;
    },
  };
}

/** Our own domains and what they are called beside. */
export function ownNames(keys: readonly Pick<OwnKeys, "domain" | "tlsOnlyAlias">[]): readonly string[] {
  return keys.flatMap(({ domain, tlsOnlyAlias: alias }) => (alias === undefined ? [domain] : [domain, alias]));
}
