#include "client/command_line/model_report.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "client/version_state.h"

namespace ddgan {
namespace {

constexpr size_t kColumns = 9;
using Row = std::array<std::string, kColumns>;

// Enough to tell digests apart.
std::string ShortDigest(const v1::ModelVersion& version) {
  return version.checkpoint_digest().substr(0, 12);
}

bool IsPinned(const v1::Model& model, int64_t version) {
  return model.has_pinned_version() && model.pinned_version() == version;
}

Row ToRow(const v1::Model& model, const v1::ModelVersion& version) {
  Row row = {
      model.name(), absl::StrCat(version.version()),
      absl::StrCat(VersionStateName(version.state()),
                   IsPinned(model, version.version()) ? ", pinned" : "")};
  if (version.has_shape()) {
    row[3] =
        absl::StrCat(version.shape().width(), "x", version.shape().height(),
                     "x", version.shape().channels());
    row[4] = absl::StrCat(version.num_timesteps());
    row[5] = absl::StrCat(version.training_step());
    row[6] = version.dataset();
  }
  if (version.has_loaded_at()) {
    row[7] =
        absl::FormatTime("%Y-%m-%dT%H:%M:%SZ",
                         absl::FromUnixSeconds(version.loaded_at().seconds()),
                         absl::UTCTimeZone());
  }
  row[8] = ShortDigest(version);
  return row;
}

std::string FormatTable(const std::vector<Row>& rows) {
  std::array<size_t, kColumns> widths = {};
  for (const Row& row : rows) {
    for (size_t c = 0; c < kColumns; ++c) {
      widths[c] = std::max(widths[c], row[c].size());
    }
  }
  std::string table;
  for (Row row : rows) {
    for (size_t c = 0; c < kColumns; ++c) row[c].resize(widths[c], ' ');
    std::string line = absl::StrJoin(row, "  ");
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&table, line, "\n");
  }
  return table;
}

// Null if the model does not have it.
const v1::ModelVersion* FindVersion(const v1::Model& model, int64_t version) {
  const auto& versions = model.versions();
  const auto found = std::find_if(
      versions.begin(), versions.end(),
      [version](const v1::ModelVersion& v) { return v.version() == version; });
  return found == versions.end() ? nullptr : &*found;
}

bool SameVersion(const v1::ModelVersion& a, const v1::ModelVersion& b) {
  return a.state() == b.state() && a.reason() == b.reason() &&
         a.checkpoint_digest() == b.checkpoint_digest();
}

}  // namespace

std::string FormatModels(const v1::ListModelsResponse& models) {
  std::string strays;
  for (const std::string& stray : models.strays()) {
    absl::StrAppend(&strays, stray, "\n");
  }
  if (models.models().empty()) {
    return absl::StrCat("The server has no model.\n", strays);
  }
  std::vector<Row> rows = {{"MODEL", "VERSION", "STATE", "SIZE", "T", "TRAINED",
                            "DATASET", "LOADED", "DIGEST"}};
  std::string remarks;
  for (const v1::Model& model : models.models()) {
    for (const v1::ModelVersion& version : model.versions()) {
      rows.push_back(ToRow(model, version));
      if (!version.reason().empty()) {
        absl::StrAppend(&remarks, model.name(), " ", version.version(), ": ",
                        version.reason(), "\n");
      }
    }
    if (model.versions().empty()) rows.push_back({model.name(), "none"});
    if (model.has_pinned_version() &&
        FindVersion(model, model.pinned_version()) == nullptr) {
      absl::StrAppend(&remarks, model.name(), ": pinned to ",
                      model.pinned_version(), ", which is not there\n");
    }
  }
  absl::StrAppend(&remarks, strays);
  return absl::StrCat(FormatTable(rows), remarks.empty() ? "" : "\n", remarks);
}

std::string DescribeVersion(const std::string& model,
                            const v1::ModelVersion& version) {
  return absl::StrCat(
      model, " ", version.version(), ": ", VersionStateName(version.state()),
      version.has_loaded_at() ? absl::StrCat(", digest ", ShortDigest(version))
                              : "",
      version.reason().empty() ? "" : ": ", version.reason());
}

std::vector<std::string> DescribeChanges(const v1::Model& before,
                                         const v1::Model& now) {
  std::vector<std::string> lines;
  for (const v1::ModelVersion& version : now.versions()) {
    const v1::ModelVersion* known = FindVersion(before, version.version());
    if (known == nullptr || !SameVersion(*known, version)) {
      lines.push_back(DescribeVersion(now.name(), version));
    }
  }
  for (const v1::ModelVersion& version : before.versions()) {
    if (FindVersion(now, version.version()) == nullptr) {
      lines.push_back(
          absl::StrCat(now.name(), " ", version.version(), ": gone"));
    }
  }
  if (now.has_pinned_version() && !IsPinned(before, now.pinned_version())) {
    lines.push_back(
        absl::StrCat(now.name(), ": pinned to ", now.pinned_version()));
  }
  if (before.has_pinned_version() && !now.has_pinned_version()) {
    lines.push_back(absl::StrCat(now.name(), ": not pinned"));
  }
  return lines;
}

}  // namespace ddgan
