// What a model's pictures are called, wherever they are made. No LibTorch, no
// gRPC.
#ifndef DDGAN_TRAINER_EVALUATION_PICTURES_PICTURES_DESCRIPTION_H_
#define DDGAN_TRAINER_EVALUATION_PICTURES_PICTURES_DESCRIPTION_H_

#include <cstdint>
#include <string>

#include "engine/api/generation.h"

namespace ddgan {

// Of images 0, 1, ... of a seed, by the version's own sampler if `sampler` is
// empty. The engine and a server make the same bytes of them, so they have the
// same description.
std::string ModelPicturesDescription(const ModelIdentity& identity,
                                     const std::string& sampler, uint64_t seed);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_PICTURES_PICTURES_DESCRIPTION_H_
