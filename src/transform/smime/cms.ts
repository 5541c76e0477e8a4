/** The CMS side of S/MIME, as `wrap` is given it. */
import type { Cms } from "./wrap.ts";
import { envelope, type EnvelopeRecipient, envelopeType } from "./enveloped-data.ts";
import { signDetached, signOpaque, type Signer } from "./signed-data.ts";

export const cms: Cms<Signer, EnvelopeRecipient> = {
  micalg: ({ micalg }) => micalg,
  hash: ({ hash }) => hash,
  signDetached,
  signOpaque,
  envelope,
  envelopeType,
};
