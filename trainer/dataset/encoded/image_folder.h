// Picture files in a folder, in an archive of one, or in a folder of archives.
// No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_IMAGE_FOLDER_H_
#define DDGAN_TRAINER_DATASET_ENCODED_IMAGE_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/dataset/encoded/encoded_images.h"
#include "trainer/dataset/encoded/image_archive.h"

namespace ddgan {

struct ImageFolderOptions {
  // Only pictures of these classes; all if empty. The class of a picture is the
  // name of the folder that it lies in, in the set or in an archive. What lies
  // directly in either has none: names of sets and archives are no classes.
  std::vector<std::string> classes;
  // Bound on what the list of images holds, and with a compressed archive on
  // the encoded images too. [1, 2^63)
  uint64_t max_memory_bytes = uint64_t{16} << 30;
  // Called after every 10,000 images of an archive and at its end, on the
  // thread that opens it. May be empty.
  std::function<void(const ArchiveProgress&)> progress;
  // Gets one line of what was found and one for each reason for which something
  // was passed over, when the set is opened. May be empty.
  std::function<void(const std::string&)> print;
};

// The pictures under `path`, ordered by their relative paths as bytes, so that
// the order is the same on every machine, and in a folder and an archive of it.
// set_report.h says which names are those of pictures.
//   A folder    with all folders below it; folder_walk.h says how links are
//               followed. A file is read when it is asked for.
//   An archive  .tar, .tar.gz, .tar.xz, .tar.bz2, .tar.zst or .zip, by content
//               and not by name: image_archive.h
//   A folder of archives and of no picture: the pictures of all of them, each
//               archive as a folder of its name. Archives that lie among
//               pictures are passed over, since such a one is as a rule what
//               the pictures were unpacked from.
// Of two members of an archive with one path, the later counts, as it would
// when unpacked. An image of more than kMaxEncodedBytes is in the list, but
// damaged. Files that change while they are used give other images or errors.
//   NotFound           nothing is at `path`, or no picture in it; says what is
//                      there instead
//   InvalidArgument    `path` is neither a folder nor a file, or one of
//                      `classes` has no picture; names some that have, and says
//                      what was passed over
//   DataLoss           a file, but no such archive, or a damaged one
//   ResourceExhausted  over max_memory_bytes, folders too deep, or an archive
//                      that unpacks to far more than itself (unpacked_file.h)
//   another            a folder or file cannot be read, as the system says
absl::StatusOr<std::unique_ptr<EncodedImages>> OpenImageFolder(
    const std::filesystem::path& path, const ImageFolderOptions& options = {});

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_IMAGE_FOLDER_H_
