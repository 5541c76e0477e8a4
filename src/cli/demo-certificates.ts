/** Certificates for the demo's partners, made in memory. They live for a day and are good for nothing else. */
import { generateKeyPairSync } from "node:crypto";
import forge from "node-forge";

export interface DemoAuthority {
  /** PEM. */
  readonly certificate: string;
  /** `daysFromNow` below zero makes a certificate that has expired. */
  readonly issue: (name: string, daysFromNow: number) => DemoIdentity;
}

export interface DemoIdentity {
  /** PEM. */
  readonly certificate: string;
  /** PEM. */
  readonly key: string;
}

const DAY_MS = 86_400_000;

/** `now` in epoch ms. */
export function createDemoAuthority(name: string, now: number): DemoAuthority {
  const keys = newKeys();
  const subject = [{ name: "commonName", value: name }];
  const root = certify({ subject, issuer: subject, keys, by: keys, from: now - 400 * DAY_MS, until: now + DAY_MS }, [
    { name: "basicConstraints", cA: true, critical: true },
    { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    { name: "subjectKeyIdentifier" },
  ]);
  return {
    certificate: root,
    issue: (host, daysFromNow) => {
      const own = newKeys();
      const owner = [{ name: "commonName", value: host }];
      const until = now + daysFromNow * DAY_MS;
      const certificate = certify(
        { subject: owner, issuer: subject, keys: own, by: keys, from: until - 90 * DAY_MS, until },
        [
          { name: "basicConstraints", cA: false },
          { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
          { name: "extKeyUsage", serverAuth: true },
          { name: "subjectAltName", altNames: [{ type: 2, value: host }] },
        ],
      );
      return { certificate, key: own.pem };
    },
  };
}

interface Keys {
  readonly pem: string;
  readonly privateKey: forge.pki.rsa.PrivateKey;
}

/** Node makes the key, far faster than forge would. */
function newKeys(): Keys {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = privateKey.export({ type: "pkcs1", format: "pem" }) as string;
  return { pem, privateKey: forge.pki.privateKeyFromPem(pem) };
}

interface Certified {
  readonly subject: forge.pki.CertificateField[];
  readonly issuer: forge.pki.CertificateField[];
  readonly keys: Keys;
  readonly by: Keys;
  readonly from: number;
  readonly until: number;
}

function certify(asked: Certified, extensions: object[]): string {
  const certificate = forge.pki.createCertificate();
  const { n, e } = asked.keys.privateKey;
  certificate.publicKey = forge.pki.rsa.setPublicKey(n, e);
  certificate.serialNumber = "01";
  certificate.validity.notBefore = new Date(asked.from);
  certificate.validity.notAfter = new Date(asked.until);
  certificate.setSubject(asked.subject);
  certificate.setIssuer(asked.issuer);
  certificate.setExtensions(extensions);
  certificate.sign(asked.by.privateKey, forge.md.sha256.create());
  return forge.pki.certificateToPem(certificate);
}
