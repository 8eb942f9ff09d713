#include "client/playground/image_order.h"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/image_client.h"
#include "engine/base/strict_json.h"

namespace ddgan::playground {
namespace {

constexpr size_t kMaxNameBytes = 64;
constexpr size_t kMaxGuideBytes = size_t{1} << 20;
constexpr uint64_t kMaxUint32 = std::numeric_limits<uint32_t>::max();

absl::Status Wanted(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("order: ", field, ": wanted ", what));
}

// Sets `out` to a number that is written as a string of digits.
template <typename Number>
absl::Status ReadDigits(const nlohmann::json& value, absl::string_view field,
                        Number low, Number* out) {
  const std::string* const text = value.get_ptr<const std::string*>();
  if (text == nullptr || text->empty() ||
      text->find_first_not_of("0123456789") != std::string::npos ||
      !absl::SimpleAtoi(*text, out) || *out < low) {
    return Wanted(field, absl::StrCat("a string of digits, ", low, " to ",
                                      std::numeric_limits<Number>::max()));
  }
  return absl::OkStatus();
}

absl::Status ReadWhole(const nlohmann::json& value, absl::string_view field,
                       uint64_t high, uint32_t* out) {
  uint64_t number = 0;
  if (ReadJson(value, &number).has_value() || number < 1 || number > high) {
    return Wanted(field, absl::StrCat("a whole number from 1 to ", high));
  }
  *out = static_cast<uint32_t>(number);
  return absl::OkStatus();
}

absl::Status ReadGuide(const nlohmann::json& value, v1::Guide* guide) {
  if (!value.is_object() || !value.contains("png") ||
      !value.contains("steps") || value.size() != 2) {
    return Wanted("guide", R"({"png": base64, "steps": number})");
  }
  std::string base64;
  std::string png;
  if (ReadJson(value["png"], &base64).has_value() ||
      !absl::Base64Unescape(base64, &png) || png.empty() ||
      png.size() > kMaxGuideBytes) {
    return Wanted("guide.png",
                  absl::StrCat("base64 of 1 to ", kMaxGuideBytes, " bytes"));
  }
  uint32_t steps = 0;
  if (absl::Status s =
          ReadWhole(value["steps"], "guide.steps", kMaxUint32, &steps);
      !s.ok()) {
    return s;
  }
  guide->set_png(std::move(png));
  guide->set_steps(steps);
  guide->set_fit(v1::GUIDE_FIT_RESIZE);
  return absl::OkStatus();
}

absl::Status ReadField(const std::string& field, const nlohmann::json& value,
                       v1::GenerateRequest* request) {
  if (field == "model") {
    std::string name;
    if (ReadJson(value, &name).has_value() || name.empty() ||
        name.size() > kMaxNameBytes) {
      return Wanted(field,
                    absl::StrCat("a string of 1 to ", kMaxNameBytes, " bytes"));
    }
    request->set_model(name);
    return absl::OkStatus();
  }
  if (field == "version") {
    int64_t version = 0;
    absl::Status status = ReadDigits(value, field, int64_t{1}, &version);
    if (status.ok()) request->set_version(version);
    return status;
  }
  if (field == "seed") {
    uint64_t seed = 0;
    absl::Status status = ReadDigits(value, field, uint64_t{0}, &seed);
    if (status.ok()) request->set_seed(seed);
    return status;
  }
  if (field == "count") {
    uint32_t count = 0;
    absl::Status status =
        ReadWhole(value, field, ImageClient::kMaxCountPerCall, &count);
    if (status.ok()) request->set_count(count);
    return status;
  }
  if (field == "guide") return ReadGuide(value, request->mutable_guide());
  return absl::InvalidArgumentError(
      absl::StrCat("order: there is no field ", Abbreviated(field)));
}

}  // namespace

absl::StatusOr<v1::GenerateStreamRequest> ParseImageOrder(
    absl::string_view json) {
  const absl::StatusOr<nlohmann::json> order =
      ParseStrictJson(std::string_view(json.data(), json.size()),
                      {.max_depth = 2, .max_values = 16});
  if (!order.ok()) return order.status();
  if (!order->is_object()) return Wanted("the whole", "an object");
  v1::GenerateStreamRequest stream;
  stream.set_previews(true);
  v1::GenerateRequest* const request = stream.mutable_request();
  request->set_format(v1::OUTPUT_FORMAT_PNG);
  for (const auto& [field, value] : order->items()) {
    if (absl::Status s = ReadField(field, value, request); !s.ok()) return s;
  }
  for (const char* required : {"model", "seed", "count"}) {
    if (!order->contains(required)) {
      return Wanted(required, "a value: it is required");
    }
  }
  return stream;
}

}  // namespace ddgan::playground
