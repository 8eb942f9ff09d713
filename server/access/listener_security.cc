#include "server/access/listener_security.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "engine/base/entropy.h"
#include "server/access/access_record.h"
#include "server/access/token_table.h"
#include "server/access/trace_context.h"
#include "spdlog/spdlog.h"

namespace ddgan {
namespace {

// A certificate with its chain has a few KiB; a bundle of every public
// authority has 200.
constexpr size_t kMaxPemBytes = size_t{1} << 20;

// As an operator knows them.
std::string FlagsOf(const SecurityOptions& options, bool tls) {
  if (!tls) return absl::StrCat("--token_file=", options.token_file);
  std::string flags = absl::StrCat("--tls_cert=", options.tls_cert,
                                   " --tls_key=", options.tls_key);
  if (!options.tls_client_ca.empty()) {
    absl::StrAppend(&flags, " --tls_client_ca=", options.tls_client_ca);
  }
  return flags;
}

absl::Status WithPrefix(absl::string_view prefix, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(prefix, ": ", status.message()));
}

// Nothing of the call's connection is known where its metadata are checked, so
// the line has no peer.
AccessRecord RecordOf(const DeniedCall& call) {
  AccessRecord record;
  record.trace = ContinueTrace(call.trace, DrawEntropy);
  record.method = std::string(call.path.substr(call.path.rfind('/') + 1));
  record.status = call.decision.status;
  return record;
}

}  // namespace

absl::Status CheckSecurity(const SecurityOptions& options,
                           absl::Span<const ListenAddress> listeners) {
  if (options.tls_cert.empty() != options.tls_key.empty()) {
    return absl::InvalidArgumentError(
        "--tls_cert and --tls_key go together: one of them is missing");
  }
  const bool tls = !options.tls_cert.empty();
  if (!options.tls_client_ca.empty() && !tls) {
    return absl::InvalidArgumentError(
        "--tls_client_ca needs --tls_cert and --tls_key: without TLS there are "
        "no client certificates");
  }
  if (options.token_file.empty()) {
    if (!options.tokens_without_tls) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "--tokens_without_tls needs --token_file: there are no tokens");
  }
  if (tls || options.tokens_without_tls) return absl::OkStatus();
  for (const ListenAddress& listener : listeners) {
    if (IsLoopback(listener)) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--token_file: on ", ToString(listener),
        ", which is not the loopback, tokens would cross the network in the "
        "clear; give --tls_cert and --tls_key, or --tokens_without_tls=true if "
        "TLS ends at a proxy before it"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ListenerSecurity>> ListenerSecurity::Start(
    const SecurityOptions& options, AccessObserver* metrics,
    AccessRecorder* access_log, Clock* clock, absl::Duration poll_interval) {
  std::unique_ptr<ListenerSecurity> security(
      new ListenerSecurity(options, metrics, clock, poll_interval));
  if (security->tls_.has_value()) {
    metrics->ExpectReloads(SecurityFiles::kTls);
    const absl::Status status = security->tls_->Load();
    if (!status.ok()) return WithPrefix(FlagsOf(options, true), status);
  }
  if (security->tokens_.has_value()) {
    metrics->ExpectReloads(SecurityFiles::kTokens);
    const absl::Status status = security->tokens_->Load();
    if (!status.ok()) return WithPrefix(FlagsOf(options, false), status);
  }
  security->credentials_ = std::make_shared<ListenerCredentials>(
      security->tls() ? &security->identity_ : nullptr, security->access_.get(),
      [metrics, access_log](const DeniedCall& call) {
        metrics->OnAccessDenied(*call.decision.denial);
        if (access_log->Takes(call.decision.status)) {
          access_log->Write(RecordOf(call));
        }
      });
  if (security->tls_.has_value() || security->tokens_.has_value()) {
    security->thread_ = std::thread([self = security.get()] { self->Watch(); });
  }
  return security;
}

ListenerSecurity::ListenerSecurity(const SecurityOptions& options,
                                   AccessObserver* metrics, Clock* clock,
                                   absl::Duration poll_interval)
    : options_(options),
      metrics_(metrics),
      clock_(clock),
      poll_interval_(poll_interval) {
  if (!options.tls_cert.empty()) {
    std::vector<std::string> paths = {options.tls_cert, options.tls_key};
    if (!options.tls_client_ca.empty()) paths.push_back(options.tls_client_ca);
    tls_.emplace(std::move(paths), kMaxPemBytes,
                 [this](const std::vector<std::string>& contents) {
                   return TakeTls(contents);
                 });
  }
  if (!options.token_file.empty()) {
    tokens_.emplace(std::vector<std::string>{options.token_file},
                    TokenTable::kMaxFileBytes,
                    [this](const std::vector<std::string>& contents) {
                      return TakeTokens(contents);
                    });
  }
}

ListenerSecurity::~ListenerSecurity() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

absl::Status ListenerSecurity::TakeTls(
    const std::vector<std::string>& contents) {
  TlsIdentity found;
  found.cert_chain = contents[0];
  found.key = contents[1];
  if (contents.size() > 2) {
    // Not "no authorities", which would let everybody in.
    if (contents[2].empty()) {
      return absl::InvalidArgumentError("client authorities: an empty file");
    }
    found.client_ca = contents[2];
  }
  absl::StatusOr<TlsIdentity> identity =
      CheckTlsIdentity(std::move(found), clock_->Now());
  if (!identity.ok()) return identity.status();
  metrics_->OnCertificate(identity->expires);
  identity_.Set(*std::move(identity));
  return absl::OkStatus();
}

absl::Status ListenerSecurity::TakeTokens(
    const std::vector<std::string>& contents) {
  absl::StatusOr<TokenTable> parsed = TokenTable::Parse(contents[0]);
  if (!parsed.ok()) return parsed.status();
  auto table = std::make_shared<const TokenTable>(*std::move(parsed));
  if (access_ == nullptr) {
    access_ = std::make_unique<AccessControl>(std::move(table), clock_);
  } else {
    access_->SetTokens(std::move(table));
  }
  return absl::OkStatus();
}

void ListenerSecurity::Watch() {
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      if (mu_.AwaitWithTimeout(absl::Condition(&stopping_), poll_interval_)) {
        return;
      }
    }
    Poll();
  }
}

void ListenerSecurity::Poll() {
  const auto poll = [this](std::optional<FileReload>& files, bool tls) {
    if (!files.has_value()) return;
    const FileReload::Result result = files->Poll();
    const auto which = tls ? SecurityFiles::kTls : SecurityFiles::kTokens;
    metrics_->OnSecurityFilesRefused(which, files->refused());
    if (result.outcome == FileReload::Outcome::kUnchanged) return;
    const bool taken = result.outcome == FileReload::Outcome::kTaken;
    metrics_->OnSecurityReload(which, taken);
    if (taken) {
      spdlog::info("{}: the new content is in force", FlagsOf(options_, tls));
    } else {
      spdlog::error("{}: refused, what was there before stays in force: {}",
                    FlagsOf(options_, tls), std::string(result.why.message()));
    }
  };
  poll(tls_, true);
  poll(tokens_, false);
}

}  // namespace ddgan
