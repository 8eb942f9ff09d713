#include "client/models_command.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/failure_report.h"
#include "client/image_client.h"

namespace ddgan {
namespace {

constexpr size_t kColumns = 8;
using Row = std::array<std::string, kColumns>;

std::string StateName(v1::ModelVersionState state) {
  switch (state) {
    case v1::MODEL_VERSION_STATE_LIVE:
      return "live";
    case v1::MODEL_VERSION_STATE_REFUSED:
      return "refused";
    default:  // A newer server may know more states.
      return absl::StrCat("state ", state);
  }
}

Row ToRow(const v1::Model& model, const v1::ModelVersion& version) {
  Row row = {model.name(), absl::StrCat(version.version()),
             StateName(version.state())};
  if (version.has_shape()) {
    row[3] =
        absl::StrCat(version.shape().width(), "x", version.shape().height(),
                     "x", version.shape().channels());
    row[4] = absl::StrCat(version.num_timesteps());
    row[5] = absl::StrCat(version.training_step());
    row[6] = version.dataset();
  }
  row[7] = version.checkpoint_digest().substr(0, 12);
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

}  // namespace

std::string FormatModels(const v1::ListModelsResponse& models) {
  if (models.models().empty()) return "The server has no model.\n";
  std::vector<Row> rows = {{"MODEL", "VERSION", "STATE", "SIZE", "T", "TRAINED",
                            "DATASET", "DIGEST"}};
  std::string reasons;
  for (const v1::Model& model : models.models()) {
    for (const v1::ModelVersion& version : model.versions()) {
      rows.push_back(ToRow(model, version));
      if (!version.reason().empty()) {
        absl::StrAppend(&reasons, model.name(), " ", version.version(), ": ",
                        version.reason(), "\n");
      }
    }
  }
  return absl::StrCat(FormatTable(rows), reasons.empty() ? "" : "\n", reasons);
}

int RunModels(const ModelsCommand& command, std::ostream& out,
              std::ostream& err) {
  ImageClient::Options options;
  options.timeout = command.server.timeout;
  const ImageClient client(command.server.address, options);
  const absl::StatusOr<v1::ListModelsResponse> models = client.ListModels();
  if (!models.ok()) {
    err << "ddgan: " << DescribeFailure(models.status(), command.server.address)
        << '\n';
    return 1;
  }
  out << FormatModels(*models);
  return 0;
}

}  // namespace ddgan
