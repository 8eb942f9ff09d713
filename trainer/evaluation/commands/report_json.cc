#include "trainer/evaluation/commands/report_json.h"

#include "absl/strings/str_cat.h"

namespace ddgan {

void AddVersion(const std::optional<MeasuredVersion>& version,
                nlohmann::ordered_json* json) {
  for (const char* key : {"model", "version", "digest", "sampler"}) {
    (*json)[key] = nullptr;
  }
  if (!version.has_value()) return;
  (*json)["model"] = version->identity.model;
  (*json)["version"] = version->identity.version;
  (*json)["digest"] = version->identity.digest;
  if (!version->sampler.empty()) (*json)["sampler"] = version->sampler;
}

std::string EvaluationsText(int evaluations) {
  return absl::StrCat(evaluations,
                      evaluations == 1 ? " evaluation" : " evaluations");
}

std::string JsonLine(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false,
                   nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

}  // namespace ddgan
