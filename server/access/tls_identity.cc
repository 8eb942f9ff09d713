#include "server/access/tls_identity.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace ddgan {
namespace {

template <typename T, void (*Free)(T*)>
struct Freer {
  void operator()(T* object) const { Free(object); }
};
void FreeBio(BIO* bio) { BIO_free(bio); }
using Bio = std::unique_ptr<BIO, Freer<BIO, FreeBio>>;
using Certificate = std::unique_ptr<X509, Freer<X509, X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY, EVP_PKEY_free>>;
using Context = std::unique_ptr<SSL_CTX, Freer<SSL_CTX, SSL_CTX_free>>;

Bio Reader(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// OpenSSL's reason for the last failure, which names no content.
std::string LastReason() {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* const reason = ERR_reason_error_string(error);
  return reason == nullptr ? "unknown reason" : reason;
}

absl::Status Wrong(absl::string_view what, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(what, ": ", why));
}

absl::StatusOr<std::vector<Certificate>> ReadCertificates(
    const std::string& pem, absl::string_view what) {
  // gRPC takes a NUL for the end.
  if (pem.find('\0') != std::string::npos) return Wrong(what, "a NUL byte");
  const Bio reader = Reader(pem);
  std::vector<Certificate> certificates;
  ERR_clear_error();
  while (true) {
    Certificate certificate(
        PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr));
    if (certificate == nullptr) break;
    certificates.push_back(std::move(certificate));
  }
  // The end of the text is the one error that is none.
  const unsigned long error = ERR_peek_last_error();
  const bool at_end = ERR_GET_LIB(error) == ERR_LIB_PEM &&
                      ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  if (!at_end) return Wrong(what, absl::StrCat("not PEM: ", LastReason()));
  ERR_clear_error();
  if (certificates.empty()) return Wrong(what, "no certificate in PEM");
  return certificates;
}

// Without asking anybody for its password.
int NoPassword(char* /*buffer*/, int /*size*/, int /*for_writing*/,
               void* /*state*/) {
  return -1;
}

absl::Time TimeOf(const ASN1_TIME* time) {
  std::tm parts = {};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return absl::InfinitePast();
  return absl::FromTM(parts, absl::UTCTimeZone());
}

}  // namespace

absl::StatusOr<TlsIdentity> CheckTlsIdentity(TlsIdentity identity,
                                             absl::Time now) {
  const absl::StatusOr<std::vector<Certificate>> chain =
      ReadCertificates(identity.cert_chain, "certificate");
  if (!chain.ok()) return chain.status();
  if (identity.key.find('\0') != std::string::npos) {
    return Wrong("key", "a NUL byte");
  }
  ERR_clear_error();
  const Key key(PEM_read_bio_PrivateKey(Reader(identity.key).get(), nullptr,
                                        NoPassword, nullptr));
  if (key == nullptr) {
    return Wrong("key", absl::StrCat("no private key in PEM without password: ",
                                     LastReason()));
  }

  // What gRPC will do with them.
  const Context context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return absl::InternalError(LastReason());
  if (SSL_CTX_use_certificate(context.get(), chain->front().get()) != 1) {
    return Wrong("certificate", LastReason());
  }
  if (X509_check_private_key(chain->front().get(), key.get()) != 1) {
    ERR_clear_error();
    return Wrong("key", "is not the certificate's");
  }
  if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1) {
    return Wrong("key", LastReason());
  }
  for (size_t i = 1; i < chain->size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context.get(), (*chain)[i].get()) != 1) {
      return Wrong("certificate", LastReason());
    }
  }

  const absl::Time begins = TimeOf(X509_get0_notBefore(chain->front().get()));
  identity.expires = TimeOf(X509_get0_notAfter(chain->front().get()));
  if (identity.expires <= now) {
    return Wrong(
        "certificate",
        absl::StrCat("expired at ",
                     absl::FormatTime(absl::RFC3339_sec, identity.expires,
                                      absl::UTCTimeZone())));
  }
  if (begins > now) {
    return Wrong("certificate",
                 absl::StrCat("is not valid before ",
                              absl::FormatTime(absl::RFC3339_sec, begins,
                                               absl::UTCTimeZone())));
  }

  if (!identity.client_ca.empty()) {
    const absl::StatusOr<std::vector<Certificate>> authorities =
        ReadCertificates(identity.client_ca, "client authorities");
    if (!authorities.ok()) return authorities.status();
  }
  return identity;
}

}  // namespace ddgan
