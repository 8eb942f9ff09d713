#include "client/command_line/failure_report.h"

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

std::string Advice(absl::StatusCode code, const std::string& server) {
  switch (code) {
    case absl::StatusCode::kUnavailable:
      return absl::StrCat(
          "Is a ddgan-server running at ", server,
          " and ready (ddgan health)? Another one is named by "
          "--server=HOST:PORT or DDGAN_SERVER. If it wants TLS, "
          "say --tls.");
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return "--token_file=FILE names a token; the server's operator hands "
             "them "
             "out.";
    case absl::StatusCode::kNotFound:
      return absl::StrCat("ddgan models --server=", server,
                          " lists what the server has.");
    case absl::StatusCode::kDeadlineExceeded:
      return "Give it more time with --timeout, or ask for fewer images.";
    case absl::StatusCode::kResourceExhausted:
      return "The server is full, or the reply would be too large: try again "
             "later, or ask for fewer images.";
    case absl::StatusCode::kUnimplemented:
      return absl::StrCat("Is ", server, " a ddgan-server of this version?");
    case absl::StatusCode::kAborted:
      return "Ask again, with --version if it must be that one.";
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kDataLoss:
      return "The server's log says more.";
    default:
      return "";
  }
}

}  // namespace

std::string DescribeFailure(const absl::Status& failure,
                            const std::string& server) {
  const std::string advice = Advice(failure.code(), server);
  return absl::StrCat(absl::StatusCodeToString(failure.code()), ": ",
                      failure.message(), advice.empty() ? "" : "\n  ", advice);
}

}  // namespace ddgan
