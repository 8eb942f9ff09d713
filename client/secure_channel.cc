#include "client/secure_channel.h"

#include <arpa/inet.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/client_interceptor.h>
#include <netinet/in.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "client/file_start.h"
#include "client/image_client.h"

namespace ddgan {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 20;
constexpr size_t kMaxTokenSize = 512;

absl::StatusOr<std::string> ReadFile(absl::string_view flag,
                                     const std::string& path) {
  const std::string what = absl::StrCat("--", flag, "=", path);
  absl::StatusOr<std::string> bytes =
      ReadFileStart(path, kMaxFileBytes + 1, what);
  if (!bytes.ok()) return bytes;
  if (bytes->size() > kMaxFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " has more than ", kMaxFileBytes, " bytes"));
  }
  return bytes;
}

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile("token_file", path);
  if (!text.ok()) return text.status();
  const absl::string_view token = absl::StripAsciiWhitespace(*text);
  if (token.empty() || token.size() > kMaxTokenSize ||
      !std::all_of(token.begin(), token.end(), [](char c) {
        return absl::ascii_isgraph(static_cast<unsigned char>(c));
      })) {
    return absl::InvalidArgumentError(
        absl::StrCat("--token_file=", path, ": wanted one token of 1 to ",
                     kMaxTokenSize, " characters of ASCII without blanks"));
  }
  return std::string(token);
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ReadCredentials(
    const ConnectionSecurity& security) {
  if (!security.tls) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  const struct {
    const char* flag;
    const std::string& path;
    std::string* content;
  } files[] = {
      {"tls_ca", security.ca_file, &options.pem_root_certs},
      {"tls_cert", security.cert_file, &options.pem_cert_chain},
      {"tls_key", security.key_file, &options.pem_private_key},
  };
  for (const auto& file : files) {
    if (file.path.empty()) continue;
    absl::StatusOr<std::string> content = ReadFile(file.flag, file.path);
    if (!content.ok()) return content.status();
    // gRPC would take it for "not given".
    if (content->empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", file.flag, "=", file.path, " is empty"));
    }
    *file.content = *std::move(content);
  }
  return grpc::SslCredentials(options);
}

// Adds the token to each call. gRPC's own call credentials refuse to work
// without TLS.
class TokenInterceptor : public grpc::experimental::Interceptor {
 public:
  explicit TokenInterceptor(const std::string* authorization)
      : authorization_(*authorization) {}

  void Intercept(grpc::experimental::InterceptorBatchMethods* call) override {
    if (call->QueryInterceptionHookPoint(
            grpc::experimental::InterceptionHookPoints::
                PRE_SEND_INITIAL_METADATA)) {
      call->GetSendInitialMetadata()->insert({"authorization", authorization_});
    }
    call->Proceed();
  }

 private:
  const std::string& authorization_;  // The factory's, which lives longer.
};

class TokenInterceptorFactory
    : public grpc::experimental::ClientInterceptorFactoryInterface {
 public:
  explicit TokenInterceptorFactory(const std::string& token)
      : authorization_(absl::StrCat("Bearer ", token)) {}

  grpc::experimental::Interceptor* CreateClientInterceptor(
      grpc::experimental::ClientRpcInfo* /*info*/) override {
    return new TokenInterceptor(&authorization_);  // gRPC deletes it.
  }

 private:
  const std::string authorization_;
};

}  // namespace

bool IsLoopbackTarget(absl::string_view address) {
  if (absl::StartsWith(address, "unix:")) return true;
  if (!absl::ConsumePrefix(&address, "ipv4:")) {
    absl::ConsumePrefix(&address, "ipv6:");
  }
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos) return false;
  absl::string_view host = address.substr(0, colon);
  if (absl::EqualsIgnoreCase(host, "localhost")) return true;
  if (absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]")) {
    in6_addr v6;
    return inet_pton(AF_INET6, std::string(host).c_str(), &v6) == 1 &&
           (IN6_IS_ADDR_LOOPBACK(&v6) ||
            // Of IPv4, as IPv6 writes it: ::ffff:127.0.0.1.
            (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == IN_LOOPBACKNET));
  }
  in_addr v4;
  return inet_pton(AF_INET, std::string(host).c_str(), &v4) == 1 &&
         ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
}

absl::Status CheckServerAddress(absl::string_view address) {
  // A target with a scheme is gRPC's to read: dns:///host:1, unix:/socket.
  for (const char* scheme : {"unix:", "unix-abstract:", "vsock:", "ipv4:",
                             "ipv6:", "dns:", "xds:"}) {
    if (absl::StartsWith(address, scheme)) return absl::OkStatus();
  }
  const size_t colon = address.rfind(':');
  if (absl::StrContains(address, "://")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--server=", address,
        ": must be HOST:PORT with a port in [1, 65535], without http:// or the "
        "like; --tls is for https"));
  }
  if (colon != absl::string_view::npos && colon > 0) {
    const absl::string_view digits = address.substr(colon + 1);
    int port = 0;
    // A number may also have blanks and a sign, which gRPC takes for a name.
    if (digits.find_first_not_of("0123456789") == absl::string_view::npos &&
        absl::SimpleAtoi(digits, &port) && port >= 1 && port <= 65535) {
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--server=", address, ": must be HOST:PORT with a port in [1, 65535]"));
}

absl::Status CheckConnectionSecurity(const std::string& address,
                                     const ConnectionSecurity& security) {
  if (absl::Status status = CheckServerAddress(address); !status.ok()) {
    return status;
  }
  if (!security.tls) {
    const std::pair<const char*, const std::string&> fields[] = {
        {"tls_ca", security.ca_file},
        {"tls_cert", security.cert_file},
        {"tls_key", security.key_file},
        {"tls_server_name", security.server_name},
    };
    for (const auto& [flag, value] : fields) {
      if (value.empty()) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag, " needs --tls"));
    }
  }
  if (security.cert_file.empty() != security.key_file.empty()) {
    return absl::InvalidArgumentError(
        "--tls_cert and --tls_key go together: one of them is missing");
  }
  if (!security.token_file.empty() && !security.tls &&
      !security.token_without_tls && !IsLoopbackTarget(address)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--token_file: without --tls everybody on the way to ", address,
        " could read the token; --token_without_tls sends it all the same"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(
    const std::string& address, const ConnectionSecurity& security,
    grpc::ChannelArguments arguments) {
  if (absl::Status status = CheckConnectionSecurity(address, security);
      !status.ok()) {
    return status;
  }
  const absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> credentials =
      ReadCredentials(security);
  if (!credentials.ok()) return credentials.status();
  if (IsLoopbackTarget(address)) {
    // A proxy that the environment names is another machine, whose loopback is
    // not this one's.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  }
  // A machine or route that vanishes ends no connection: a call that waits for
  // a server's next word would wait for ever.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetMaxReceiveMessageSize(ImageClient::kMaxReplyBytes);
  if (!security.server_name.empty()) {
    arguments.SetSslTargetNameOverride(security.server_name);
  }
  if (security.token_file.empty()) {
    return grpc::CreateCustomChannel(address, *credentials, arguments);
  }

  const absl::StatusOr<std::string> token = ReadToken(security.token_file);
  if (!token.ok()) return token.status();
  if (!security.tls && !security.token_without_tls) {
    // A proxy that the environment names would be another machine on the way.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  }
  std::vector<
      std::unique_ptr<grpc::experimental::ClientInterceptorFactoryInterface>>
      interceptors;
  interceptors.push_back(std::make_unique<TokenInterceptorFactory>(*token));
  return grpc::experimental::CreateCustomChannelWithInterceptors(
      address, *credentials, arguments, std::move(interceptors));
}

}  // namespace ddgan
