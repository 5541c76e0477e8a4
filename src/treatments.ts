/**
 * Wires what is done to mail on its way out: keys, certificates of recipients, DNS; and the watch over what of it
 * ends or is not published. Settings are read through functions, so that a reload reaches the next message.
 */
import { createCertificateWatch } from "./certificate-watch.ts";
import { findAddresses } from "./connect/addresses.ts";
import { createAskDirectory } from "./connect/ldap-certificates.ts";
import { createLdapSearch } from "./connect/ldap-search.ts";
import { createOutsideHttp } from "./connect/outside-http.ts";
import type { Resolver } from "./connect/resolver.ts";
import { createRevocation } from "./connect/revocation.ts";
import { datedCertificates } from "./dated-certificates.ts";
import { createDkimRecords, type LookupTxt, txtRecords } from "./dkim-records.ts";
import type { SmtpReply } from "./mail/smtp-reply.ts";
import type { Emit } from "./report/events.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Random } from "./runtime/random.ts";
import { createSmimeDirectory } from "./smime-directory.ts";
import type { Snapshot } from "./snapshot.ts";
import { createMessageIds, type MessageIds } from "./transform/message-ids.ts";
import { type Incoming, treat, type TreatDeps, type Treating } from "./transform/treat.ts";

export interface TreatmentsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly snapshot: () => Snapshot;
  readonly resolver: Pick<Resolver, "lookup">;
  /** 32 octets; maps inner Message-IDs to outer ones and back. */
  readonly messageIdKey: Buffer;
  readonly emit: Emit;
}

export interface Treatments {
  /** A reply refuses the message. */
  readonly treat: (message: Incoming) => Promise<Treating | SmtpReply>;
  /** The same with certificates that were looked up before. */
  readonly treatWith: (
    message: Incoming,
    certificatesFor: TreatDeps["certificatesFor"],
  ) => Promise<Treating | SmtpReply>;
  readonly certificatesFor: TreatDeps["certificatesFor"];
  /** Compares keys with DNS and dates with the clock; at start and after each reload. */
  readonly look: () => void;
  readonly stop: () => void;
}

export function createTreatments(deps: TreatmentsDeps): Treatments {
  const { clock, random, snapshot, resolver, emit } = deps;
  const settings = (): Snapshot["settings"] => snapshot().settings;
  const lookupTxt: LookupTxt = (name) => resolver.lookup(name, "TXT");
  const directory = createSmimeDirectory({
    clock,
    settings: () => settings().smime,
    askDirectory: createAskDirectory({ clock, search: createLdapSearch({ clock }) }),
    checkRevocation: createRevocation({
      clock,
      ask: createOutsideHttp({
        clock,
        allowPrivate: () => settings().smime.revocation.allowPrivate,
        resolveAddresses: async (host) => {
          const { byVersion, failure } = await findAddresses(resolver, host, settings().delivery.ipVersions);
          return { addresses: byVersion.flat(), ...(failure !== undefined && { failure }) };
        },
      }),
    }),
    emit,
  });
  const records = createDkimRecords({
    clock,
    emit,
    keys: () => settings().policy.ownDomains.flatMap(({ dkim }) => dkim),
    lookupTxt,
  });
  const dates = createCertificateWatch({
    clock,
    emit,
    dated: () => datedCertificates(settings()),
    days: () => settings().alarms.certificateDays,
  });
  const transform = {
    random: random.bytes,
    keyring: () => snapshot().keyring,
    messageIds: messageIdsOf(deps.messageIdKey, () => settings().hostname),
    certificatesFor: directory.certificatesFor,
    txt: txtRecords(lookupTxt),
  };
  return {
    treat: (message) => treat(transform, message),
    treatWith: (message, certificatesFor) => treat({ ...transform, certificatesFor }, message),
    certificatesFor: directory.certificatesFor,
    look: () => {
      records.look();
      dates.look();
    },
    stop: () => {
      records.stop();
      dates.stop();
    },
  };
}

/** Made anew only when the host name is another one: deriving the keys costs more than using them. */
function messageIdsOf(key: Buffer, hostname: () => string): () => MessageIds {
  let made: { readonly hostname: string; readonly ids: MessageIds } | undefined;
  return () => {
    const name = hostname();
    if (made?.hostname !== name) made = { hostname: name, ids: createMessageIds(key, name) };
    return made.ids;
  };
}
