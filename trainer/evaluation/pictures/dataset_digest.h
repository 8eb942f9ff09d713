// What a data set's files hold, as one number: features that were computed of
// other files must not be taken for theirs. No LibTorch.
#ifndef DDGAN_TRAINER_EVALUATION_PICTURES_DATASET_DIGEST_H_
#define DDGAN_TRAINER_EVALUATION_PICTURES_DATASET_DIGEST_H_

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"

namespace ddgan {

// SHA-256, in hexadecimal, over name, size and content of each file of a data
// set, by ascending name; names are relative to `path`, so the set may lie
// anywhere. Nothing is decoded: that takes what reading the files takes, some
// 500 MB a second, and not the hours of computing features. Counted are the
// files that `kind` of DatasetSpec reads, as far as they are there:
//   mnist, stacked_mnist  the four IDX files, gzipped or not
//   cifar10               the six batches, also in cifar-10-batches-bin
//   image_folder          pictures, or archives where there are none, as
//                         OpenImageFolder finds them; or `path` itself
//   lmdb                  data.mdb, or `path` itself
// A set that is packed otherwise, such as gzipped, is another one here.
//   NotFound  nothing is at `path`, or no such file is below it
//   else      the file system's error
absl::StatusOr<std::string> DatasetDigest(const std::filesystem::path& path,
                                          const std::string& kind);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_EVALUATION_PICTURES_DATASET_DIGEST_H_
