// From the engine's models to the wire's messages. Pure functions.
#ifndef DDGAN_SERVER_MODELS_MODEL_CONVERSION_H_
#define DDGAN_SERVER_MODELS_MODEL_CONVERSION_H_

#include <vector>

#include "ddgan/v1/model.pb.h"
#include "engine/api/engine.h"

namespace ddgan {

// Models and versions in the order that they come in, which is what the
// protocol promises as well.
v1::Model ConvertModel(const ModelStatus& status);
v1::ListModelsResponse ConvertModelList(const std::vector<ModelStatus>& models);

}  // namespace ddgan

#endif  // DDGAN_SERVER_MODELS_MODEL_CONVERSION_H_
