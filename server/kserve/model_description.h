// What the inference protocol says of models. Pure functions.
#ifndef DDGAN_SERVER_KSERVE_MODEL_DESCRIPTION_H_
#define DDGAN_SERVER_KSERVE_MODEL_DESCRIPTION_H_

#include <cstdint>
#include <vector>

#include "engine/api/engine.h"
#include "inference/v2.pb.h"
#include "server/calls/call_statistics.h"

namespace ddgan {

// The versions of the model that are loaded, ascending.
std::vector<int64_t> LoadedVersions(const ModelStatus& model);

inference::ModelMetadataResponse DescribeModel(
    const ResolvedModel& model, const std::vector<int64_t>& loaded);

inference::ModelConfig ConfigOf(const ResolvedModel& model);

// `ready`: only what is loaded.
inference::RepositoryIndexResponse IndexOf(
    const std::vector<ModelStatus>& models, bool ready);

inference::ModelStatistics ConvertTally(const std::string& model,
                                        int64_t version,
                                        const CallStatistics::Tally& tally);

}  // namespace ddgan

#endif  // DDGAN_SERVER_KSERVE_MODEL_DESCRIPTION_H_
