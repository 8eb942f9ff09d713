// What training tools put before the names of a generator's tensors.
#ifndef DDGAN_TRAINER_IMPORT_NAME_PREFIX_H_
#define DDGAN_TRAINER_IMPORT_NAME_PREFIX_H_

#include <string>
#include <vector>

#include "engine/checkpoint/weights_check.h"

namespace ddgan {

// What all names have before "all_modules." or "z_transform.", with which a
// generator's own begin; empty if nothing, or not all have it.
std::string CommonPrefix(const std::vector<TensorShape>& tensors);

// `prefix` in words: "module. (DistributedDataParallel)"; for a person.
std::string DescribePrefix(const std::string& prefix);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_IMPORT_NAME_PREFIX_H_
