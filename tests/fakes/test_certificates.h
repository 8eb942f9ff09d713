// Certificates for tests, made when they are needed: nothing secret is kept in
// the repository.
#ifndef DDGAN_TESTS_FAKES_TEST_CERTIFICATES_H_
#define DDGAN_TESTS_FAKES_TEST_CERTIFICATES_H_

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace ddgan {

// A certificate with its key, for one name.
class TestCertificate {
 public:
  struct Options {
    std::string name = "localhost";
    absl::Time begins = absl::Now() - absl::Hours(1);
    absl::Time ends = absl::Now() + absl::Hours(24);
    int rsa_bits = 0;  // 0: an elliptic curve, which is quicker to make.
  };

  static TestCertificate Authority(const std::string& name) {
    Options options;
    options.name = name;
    return TestCertificate(options, nullptr);
  }
  TestCertificate Sign(const Options& options) const {
    return TestCertificate(options, this);
  }
  TestCertificate Sign() const { return Sign(Options()); }

  // PEM.
  std::string certificate() const {
    return Written([this](BIO* out) {
      return PEM_write_bio_X509(out, certificate_.get());
    });
  }
  std::string key() const {
    return Written([this](BIO* out) {
      return PEM_write_bio_PrivateKey(out, key_.get(), nullptr, nullptr, 0,
                                      nullptr, nullptr);
    });
  }
  std::string EncryptedKey(std::string password) const {
    return Written([this, &password](BIO* out) {
      return PEM_write_bio_PrivateKey(
          out, key_.get(), EVP_aes_256_cbc(),
          reinterpret_cast<unsigned char*>(password.data()),
          static_cast<int>(password.size()), nullptr, nullptr);
    });
  }

 private:
  // Signed by itself without an authority.
  TestCertificate(const Options& options, const TestCertificate* authority)
      : key_(options.rsa_bits > 0
                 ? EVP_RSA_gen(static_cast<unsigned>(options.rsa_bits))
                 : EVP_EC_gen("P-256"),
             &EVP_PKEY_free),
        certificate_(X509_new(), &X509_free) {
    X509* const x = certificate_.get();
    X509_set_version(x, 2);
    static int serial = 0;
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    ASN1_TIME_set(X509_getm_notBefore(x), absl::ToTimeT(options.begins));
    ASN1_TIME_set(X509_getm_notAfter(x), absl::ToTimeT(options.ends));
    X509_NAME_add_entry_by_txt(
        X509_get_subject_name(x), "CN", MBSTRING_ASC,
        reinterpret_cast<const unsigned char*>(options.name.c_str()), -1, -1,
        0);
    X509* const issuer =
        authority == nullptr ? x : authority->certificate_.get();
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    X509_set_pubkey(x, key_.get());
    AddExtension(issuer, NID_basic_constraints,
                 authority == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
    AddExtension(issuer, NID_subject_alt_name, "DNS:" + options.name);
    EVP_PKEY* const signer =
        authority == nullptr ? key_.get() : authority->key_.get();
    if (X509_sign(x, signer, EVP_sha256()) == 0) {
      std::fprintf(stderr, "cannot sign a certificate\n");
      std::abort();
    }
  }

  void AddExtension(X509* issuer, int type, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate_.get(), nullptr, nullptr, 0);
    X509_EXTENSION* const extension =
        X509V3_EXT_conf_nid(nullptr, &context, type, value.c_str());
    X509_add_ext(certificate_.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }

  template <typename Write>
  static std::string Written(Write write) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()),
                                                        &BIO_free);
    write(out.get());
    char* data = nullptr;
    const long size = BIO_get_mem_data(out.get(), &data);
    return std::string(data, static_cast<size_t>(size));
  }

  std::shared_ptr<EVP_PKEY> key_;
  std::shared_ptr<X509> certificate_;
};

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_TEST_CERTIFICATES_H_
