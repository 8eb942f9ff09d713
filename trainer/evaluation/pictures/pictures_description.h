// What a model's pictures are called, wherever they are made. No LibTorch, no
// gRPC.
#ifndef DDGAN_TRAINER_EVALUATION_PICTURES_PICTURES_DESCRIPTION_H_
#define DDGAN_TRAINER_EVALUATION_PICTURES_PICTURES_DESCRIPTION_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "engine/api/generation.h"

namespace ddgan {

// Of images 0, 1, ... of a seed, made here, on the CPU; by the version's own
// sampler if `sampler` is empty.
std::string ModelPicturesDescription(const ModelIdentity& identity,
                                     const std::string& sampler, uint64_t seed);

// Of the same, made by a server. Its lanes' kind of device, number format and
// pinned batch decide the last bits, and no reply names them; so `first_image`,
// what it sends of image 0 as float32, stands for them. Never equal to a
// description of the function above: a server on CPUs, which makes the same
// bytes, cannot be told from others.
std::string ServerPicturesDescription(const ModelIdentity& identity,
                                      uint64_t seed,
                                      std::string_view first_image);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_PICTURES_PICTURES_DESCRIPTION_H_
