// What a browser sends to the playground: after a line each of method, target,
// Host, Origin, Sec-Fetch-Site and Content-Type ("-": none), the order.
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/playground/image_order.h"
#include "client/playground/page_access.h"
#include "tests/fuzz/fuzz_input.h"

namespace ddgan::playground {
namespace {

constexpr char kToken[] = "7e57";

std::optional<std::string> Header(InputReader* input) {
  const std::string_view line = input->Until('\n');
  if (line == "-") return std::nullopt;
  return std::string(line);
}

void CheckHead(const RequestHead& head) {
  const auto path = CheckAccess(head, kToken, 8080);
  if (!path.ok()) {
    Require(absl::IsPermissionDenied(path.status()) ||
                absl::IsInvalidArgument(path.status()),
            "a request is refused by its own errors");
    return;
  }
  Require(head.host == "127.0.0.1:8080" || head.host == "localhost:8080",
          "a request to this machine");
  Require(head.origin.has_value()
              ? *head.origin == absl::StrCat("http://", *head.host)
              : !head.is_post,
          "a request of this page");
  Require(absl::StartsWith(head.target, absl::StrCat("/", kToken, "/")) &&
              absl::StartsWith(*path, "/"),
          "a request with the token");
  Require(
      !head.is_post || absl::StartsWithIgnoreCase(
                           head.content_type.value_or(""), "application/json"),
      "a request that no form can make");
}

void CheckOrder(std::string_view text) {
  const auto stream =
      ParseImageOrder(absl::string_view(text.data(), text.size()));
  if (!stream.ok()) {
    Require(absl::IsInvalidArgument(stream.status()),
            "a refused order is InvalidArgument");
    return;
  }
  const v1::GenerateRequest& request = stream->request();
  Require(!request.model().empty() && request.model().size() <= 64,
          "a model's name");
  Require(request.count() >= 1 && request.count() <= 64, "a count");
  Require(request.has_seed(), "a seed");
  Require(!request.has_version() || request.version() >= 1, "a version");
  if (request.has_guide()) {
    Require(!request.guide().png().empty() && request.guide().steps() >= 1,
            "a guide");
  }
  v1::GenerateStreamRequest again;
  Require(again.ParseFromString(stream->SerializeAsString()),
          "an order can be sent");
}

}  // namespace
}  // namespace ddgan::playground

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ddgan::InputReader input(data, size);
  ddgan::playground::RequestHead head;
  head.is_post = input.Until('\n') == "POST";
  head.target = std::string(input.Until('\n'));
  head.host = ddgan::playground::Header(&input);
  head.origin = ddgan::playground::Header(&input);
  head.fetch_site = ddgan::playground::Header(&input);
  head.content_type = ddgan::playground::Header(&input);
  ddgan::playground::CheckHead(head);
  ddgan::playground::CheckOrder(input.Rest());
  return 0;
}
