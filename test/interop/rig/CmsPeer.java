// What BouncyCastle makes of CMS objects. One question a line on standard input, tab-separated, one answer a line:
//   verify  CMS  CONTENT-or-empty  ROOT     ->  ok SHA-256-of-the-content signing-certificate capabilities
//   decrypt CMS  CERTIFICATE       KEY.der  ->  ok SHA-256-of-the-content
// or "no REASON". Run as a single source file.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.CertPathBuilder;
import java.security.cert.CertStore;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXBuilderParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509CertSelector;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Set;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.CMSAttributes;
import org.bouncycastle.asn1.cms.CMSObjectIdentifiers;
import org.bouncycastle.asn1.cms.ContentInfo;
import org.bouncycastle.asn1.cms.GCMParameters;
import org.bouncycastle.asn1.ess.SigningCertificateV2;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.smime.SMIMECapabilities;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.jcajce.JcaCertStoreBuilder;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.cms.*;
import org.bouncycastle.cms.jcajce.*;
import org.bouncycastle.jcajce.io.CipherInputStream;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.InputAEADDecryptor;

public class CmsPeer {
  public static void main(String[] args) throws Exception {
    Security.addProvider(new BouncyCastleProvider());
    BufferedReader questions = new BufferedReader(new InputStreamReader(System.in));
    for (String line = questions.readLine(); line != null; line = questions.readLine()) {
      String[] words = line.split("\t", -1);
      try {
        System.out.println("ok " + (words[0].equals("verify") ? verify(words) : decrypt(words)));
      } catch (Exception error) {
        System.out.println("no " + error.getClass().getSimpleName() + " " + String.valueOf(error.getMessage()).replaceAll("\\s", " "));
      }
    }
  }

  static byte[] read(String file) throws Exception {
    return Files.readAllBytes(Path.of(file));
  }

  static X509Certificate certificate(String file) throws Exception {
    return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(Files.newInputStream(Path.of(file)));
  }

  static String sha256(byte[] octets) throws Exception {
    return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(octets));
  }

  static String verify(String[] words) throws Exception {
    CMSSignedData signed = words[2].isEmpty()
      ? new CMSSignedData(read(words[1]))
      : new CMSSignedData(new CMSProcessableByteArray(read(words[2])), read(words[1]));
    if (signed.getSignerInfos().size() != 1) throw new Exception("not one signer");
    SignerInformation signer = signed.getSignerInfos().iterator().next();
    X509CertificateHolder holder = (X509CertificateHolder) signed.getCertificates().getMatches(signer.getSID()).iterator().next();
    if (!signer.verify(new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(holder))) throw new Exception("does not verify");
    path(signed, new JcaX509CertificateConverter().getCertificate(holder), certificate(words[3]));
    SigningCertificateV2 named = SigningCertificateV2.getInstance(value(signer, PKCSObjectIdentifiers.id_aa_signingCertificateV2));
    byte[] hash = MessageDigest.getInstance("SHA-256").digest(holder.getEncoded());
    if (!Arrays.equals(hash, named.getCerts()[0].getCertHash())) throw new Exception("another signing certificate");
    if (!named.getCerts()[0].getIssuerSerial().getSerial().getValue().equals(holder.getSerialNumber())) throw new Exception("another number");
    value(signer, CMSAttributes.signingTime);
    SMIMECapabilities capabilities = new SMIMECapabilities(org.bouncycastle.asn1.ASN1Sequence.getInstance(value(signer, PKCSObjectIdentifiers.pkcs_9_at_smimeCapabilities)));
    return sha256((byte[]) signed.getSignedContent().getContent()) + " " + capabilities.getCapabilities(null).size();
  }

  static org.bouncycastle.asn1.ASN1Encodable value(SignerInformation signer, org.bouncycastle.asn1.ASN1ObjectIdentifier type) {
    Attribute attribute = signer.getSignedAttributes().get(type);
    return attribute.getAttrValues().getObjectAt(0);
  }

  static void path(CMSSignedData signed, X509Certificate leaf, X509Certificate root) throws Exception {
    X509CertSelector selector = new X509CertSelector();
    selector.setCertificate(leaf);
    PKIXBuilderParameters parameters = new PKIXBuilderParameters(Set.of(new TrustAnchor(root, null)), selector);
    parameters.setRevocationEnabled(false);
    JcaX509CertificateConverter converter = new JcaX509CertificateConverter();
    java.util.List<X509Certificate> sent = new java.util.ArrayList<>();
    for (Object one : signed.getCertificates().getMatches(null)) sent.add(converter.getCertificate((X509CertificateHolder) one));
    parameters.addCertStore(CertStore.getInstance("Collection", new java.security.cert.CollectionCertStoreParameters(sent)));
    CertPathBuilder.getInstance("PKIX", "BC").build(parameters);
  }

  static String decrypt(String[] words) throws Exception {
    X509Certificate certificate = certificate(words[2]);
    boolean ec = !certificate.getPublicKey().getAlgorithm().equals("RSA");
    PrivateKey key = KeyFactory.getInstance(ec ? "EC" : "RSA", "BC").generatePrivate(new PKCS8EncodedKeySpec(read(words[3])));
    RecipientId id = ec ? new JceKeyAgreeRecipientId(certificate) : new JceKeyTransRecipientId(certificate);
    byte[] cms = read(words[1]);
    boolean authenticated = ContentInfo.getInstance(cms).getContentType().equals(CMSObjectIdentifiers.authEnvelopedData);
    RecipientInformationStore all = authenticated
      ? new CMSAuthEnvelopedData(cms).getRecipientInfos()
      : new CMSEnvelopedData(cms).getRecipientInfos();
    RecipientInformation own = all.get(id);
    byte[] identifier = certificate.getExtensionValue("2.5.29.14");
    if (own == null && ec && identifier != null)
      own = all.get(new KeyAgreeRecipientId(ASN1OctetString.getInstance(ASN1OctetString.getInstance(identifier).getOctets()).getOctets()));
    if (own == null) throw new Exception("not for this certificate");
    Recipient recipient;
    if (authenticated) recipient = ec ? new AgreedRecipient(key).setProvider("BC") : new JceKeyTransAuthEnvelopedRecipient(key).setProvider("BC");
    else recipient = ec ? new JceKeyAgreeEnvelopedRecipient(key).setProvider("BC") : new JceKeyTransEnvelopedRecipient(key).setProvider("BC");
    return sha256(own.getContent(recipient));
  }

  // BouncyCastle 1.72 has this for key transport only; the key agreement itself is its own.
  static class AgreedRecipient extends JceKeyAgreeRecipient {
    AgreedRecipient(PrivateKey key) {
      super(key);
    }

    public RecipientOperator getRecipientOperator(AlgorithmIdentifier by, AlgorithmIdentifier content, SubjectPublicKeyInfo sender, ASN1OctetString material, byte[] encrypted) throws CMSException {
      try {
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding", "BC");
        GCMParameters parameters = GCMParameters.getInstance(content.getParameters());
        cipher.init(Cipher.DECRYPT_MODE, extractSecretKey(by, content, sender, material, encrypted), new GCMParameterSpec(8 * parameters.getIcvLen(), parameters.getNonce()));
        return new RecipientOperator(new InputAEADDecryptor() {
          public AlgorithmIdentifier getAlgorithmIdentifier() {
            return content;
          }

          public java.io.InputStream getInputStream(java.io.InputStream octets) {
            return new CipherInputStream(octets, cipher);
          }

          public java.io.OutputStream getAADStream() {
            return java.io.OutputStream.nullOutputStream();
          }

          public byte[] getMAC() {
            return null; // it follows the octets
          }
        });
      } catch (java.security.GeneralSecurityException error) {
        throw new CMSException("AES-GCM", error);
      }
    }
  }
}
