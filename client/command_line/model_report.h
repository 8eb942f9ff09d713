// What a person reads about a server's models. Pure functions.
#ifndef DDGAN_CLIENT_COMMAND_LINE_MODEL_REPORT_H_
#define DDGAN_CLIENT_COMMAND_LINE_MODEL_REPORT_H_

#include <string>
#include <vector>

#include "ddgan/v1/model.pb.h"

namespace ddgan {

// A table, one line per version, and below it what there is to say about some
// of them: why they are refused, for example.
std::string FormatModels(const v1::ListModelsResponse& models);

// "mnist 4: refused: model.safetensors: size 7, the manifest says 9".
std::string DescribeVersion(const std::string& model,
                            const v1::ModelVersion& version);

// A line for each difference between what was known of a model and what it is
// now: versions whose state has changed, versions that are gone, the pin.
// `before` is empty for a model that is new.
std::vector<std::string> DescribeChanges(const v1::Model& before,
                                         const v1::Model& now);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_MODEL_REPORT_H_
