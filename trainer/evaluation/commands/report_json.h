// What several commands' reports say alike. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_COMMANDS_REPORT_JSON_H_
#define DDGAN_TRAINER_EVALUATION_COMMANDS_REPORT_JSON_H_

#include <optional>
#include <string>

#include "nlohmann/json.hpp"
#include "trainer/evaluation/session/measured_pictures.h"

namespace ddgan {

// Adds the keys model, version, digest and sampler, null where they are not
// known.
void AddVersion(const std::optional<MeasuredVersion>& version,
                nlohmann::ordered_json* json);

// "1 evaluation", "4 evaluations"
std::string EvaluationsText(int evaluations);

// One object in one line, which ends it. Bytes that are no UTF-8, which a path
// may hold, are replaced.
std::string JsonLine(const nlohmann::ordered_json& json);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_COMMANDS_REPORT_JSON_H_
