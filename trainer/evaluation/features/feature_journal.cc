#include "trainer/evaluation/features/feature_journal.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/check_range.h"
#include "engine/base/strict_json.h"

namespace ddgan {
namespace {

using nlohmann::ordered_json;

constexpr char kKind[] = "ddgan features 1";
constexpr size_t kMaxText = 4096;                 // Of one field of a source.
constexpr size_t kMaxLine = size_t{128} << 10;    // A header's fields, escaped.
constexpr int64_t kMaxValues = int64_t{1} << 20;  // Of one row.

std::string ShapeText(const ImageShape& shape) {
  return absl::StrCat(shape.channels, "x", shape.height, "x", shape.width);
}

// Bytes that are no UTF-8 become a replacement character.
std::string Line(const ordered_json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/true,
                   ordered_json::error_handler_t::replace) +
         "\n";
}

ordered_json HeaderJson(const FeatureSource& source) {
  return {{"kind", kKind},
          {"pictures", source.pictures},
          {"shape", ShapeText(source.shape)},
          {"network", source.network},
          {"network_digest", source.network_digest},
          {"feature_count", source.feature_count},
          {"class_count", source.class_count}};
}

// What `line`, which is not the header of `source`, says instead.
absl::Status OtherHeader(std::string_view line, const FeatureSource& source) {
  const absl::StatusOr<nlohmann::json> found = ParseStrictJson(line);
  // Read back, so that what was escaped compares as it was written.
  const nlohmann::json wanted =
      nlohmann::json::parse(HeaderLine(source), nullptr, false);
  if (!found.ok() || !found->is_object() ||
      found->value("kind", nlohmann::json()) != wanted["kind"]) {
    return absl::DataLossError("not a file of features");
  }
  const ordered_json fields = HeaderJson(source);
  for (const auto& [key, value] : fields.items()) {
    const nlohmann::json other = found->value(key, nlohmann::json());
    if (other == wanted[key]) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("features of something else: ", key, " is ",
                     Abbreviated(other), ", not ", Abbreviated(wanted[key])));
  }
  return absl::DataLossError("its first line is not as it is written");
}

bool IsDigest(const std::string& text) {
  return text.size() == 64 &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

// False unless `line`, without its end, is a block's.
bool ParseBlock(std::string_view line, bool has_classes, JournalBlock* block) {
  const absl::StatusOr<nlohmann::json> json = ParseStrictJson(line);
  if (!json.ok() || !json->is_object()) return false;
  const auto read = [&](const char* key, auto* out) {
    const auto it = json->find(key);
    return it != json->end() && !ReadJson(*it, out).has_value();
  };
  if (json->size() != (has_classes ? 3u : 2u) || !read("rows", &block->rows) ||
      !read("features", &block->features) || !IsDigest(block->features) ||
      block->rows < 1 || block->rows > FeatureJournal::kMaxRows) {
    return false;
  }
  return !has_classes || (read("probabilities", &block->probabilities) &&
                          IsDigest(block->probabilities));
}

}  // namespace

absl::Status CheckSource(const FeatureSource& source) {
  for (const auto& [name, text] :
       {std::pair("pictures", &source.pictures),
        std::pair("network", &source.network),
        std::pair("network_digest", &source.network_digest)}) {
    if (text->size() > kMaxText) {
      return absl::InvalidArgumentError(absl::StrCat(
          name, " has ", text->size(), " bytes, must have at most ", kMaxText));
    }
  }
  if (absl::Status s =
          CheckRange("feature_count", source.feature_count, 1, kMaxValues);
      !s.ok()) {
    return s;
  }
  return CheckRange("class_count", source.class_count, 0, kMaxValues);
}

std::string HeaderLine(const FeatureSource& source) {
  return Line(HeaderJson(source));
}

std::string BlockLine(const JournalBlock& block) {
  ordered_json json = {{"rows", block.rows}, {"features", block.features}};
  if (!block.probabilities.empty()) json["probabilities"] = block.probabilities;
  return Line(json);
}

absl::StatusOr<FeatureJournal> ParseFeatureJournal(
    std::string_view text, const FeatureSource& source) {
  const std::string header = HeaderLine(source);
  FeatureJournal journal;
  const size_t header_end = text.substr(0, kMaxLine).find('\n');
  if (header_end == std::string_view::npos) {
    if (header.starts_with(text)) return journal;
    return absl::DataLossError("not a file of features");
  }
  if (!text.starts_with(header)) {
    return OtherHeader(text.substr(0, header_end), source);
  }
  journal.bytes = header.size();
  while (journal.bytes < text.size()) {
    const size_t end = text.find('\n', journal.bytes);
    if (end == std::string_view::npos) break;
    JournalBlock block;
    if (!ParseBlock(text.substr(journal.bytes, end - journal.bytes),
                    source.class_count > 0, &block)) {
      // After a loss of power the last line's end may be there without the
      // rest.
      if (end + 1 == text.size()) break;
      return absl::DataLossError(
          absl::StrCat("line ", journal.blocks.size() + 2, " is damaged"));
    }
    journal.rows += block.rows;
    if (journal.rows > FeatureJournal::kMaxRows) {
      return absl::DataLossError(absl::StrCat(
          "more than ", FeatureJournal::kMaxRows, " rows cannot be"));
    }
    journal.bytes = end + 1;
    journal.blocks.push_back(std::move(block));
  }
  return journal;
}

}  // namespace ddgan
