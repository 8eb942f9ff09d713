// From a name and a path to a data set. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_OPEN_DATASET_H_
#define DDGAN_TRAINER_DATASET_OPEN_DATASET_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "trainer/dataset/encoded/image_folder.h"
#include "trainer/dataset/encoded_dataset.h"
#include "trainer/dataset/image_dataset.h"

namespace ddgan {

struct DatasetSpec {
  // What lies at `path`:
  //   mnist          the training images of MNIST, or of a set in its format:
  //                  32x32, 1 channel (mnist_dataset.h)
  //   stacked_mnist  the same digits, three to an image: 32x32, 3 channels
  //                  (stacked_mnist_dataset.h)
  //   cifar10        CIFAR-10's binary version: 32x32, 3 channels
  //                  (cifar10_dataset.h)
  //   image_folder   PNG, JPEG and WebP files in a folder, in an archive or in
  //                  a folder of archives, any size of picture
  //                  (image_folder.h, image_decoder.h)
  //   lmdb           an LMDB database of such files, or of raw rows (H, W, C)
  //                  of just the model's size (lmdb_images.h)
  std::string kind;
  std::string path;
  // What the model makes. [1, 1024]; 1 or 3. Sets of one shape must have this
  // shape; pictures of any size are resized and cut to it.
  int image_size = 32;
  int num_channels = 3;
  // Only the first so many images, in the order of the set; a set that has
  // fewer is used whole, and 0 is no limit. [0, 2^63)
  int64_t limit = 0;
  // Of stacked_mnist's permutations; unused by the others.
  uint64_t seed = 0;
  // Of image_folder and lmdb; kToRgb needs 3 channels.
  Conversion conversion = Conversion::kRefuse;
};

// Opens the set and reads images, from the first on, until one can be used, but
// at most 1,000: a set that has none among them is refused, whatever follows.
// `options` are for image_folder, but print, which also has lmdb's line. Fails
// as the files named above say; also:
//   InvalidArgument  an unknown kind, a value out of range, classes of another
//                    kind than image_folder or with an empty name, or images of
//                    another shape than the model's: which, and what they are;
//                    all that were read are sound, but none is for this model
//   DataLoss         none that was read can be used, and some are damaged: why
//                    the first cannot
absl::StatusOr<std::unique_ptr<ImageDataset>> OpenDataset(
    const DatasetSpec& spec, const ImageFolderOptions& options = {});

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_OPEN_DATASET_H_
