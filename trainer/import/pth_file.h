// A checkpoint as torch.save writes it: a zip archive with a pickle that
// describes tensors, and beside it the storages that they are windows of.
#ifndef DDGAN_TRAINER_IMPORT_PTH_FILE_H_
#define DDGAN_TRAINER_IMPORT_PTH_FILE_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "trainer/import/pickle_reader.h"

struct zip;

namespace ddgan {

// Thread-compatible.
class PthFile {
 public:
  // Reads the archive's directory and its pickle, not yet the storages.
  //   NotFound         no such file
  //   InvalidArgument  not an archive of torch.save, or not one of tensors only
  //                    (ReadStateDictPickle); also for sizes that the file
  //                    itself cannot hold, and compressed entries, which
  //                    torch.save never writes
  // Messages begin with the file's path.
  static absl::StatusOr<PthFile> Open(const std::filesystem::path& path);

  // Names are as in the file, with "module." where it has that.
  const std::vector<PickledTensor>& tensors() const { return dict_.tensors; }

  // As PickledStateDict.
  const std::string& wrapper() const { return dict_.wrapper; }

  DType dtype(const PickledTensor& tensor) const;

  // The values of each of tensors(), row-major, little-endian. Callers check
  // the shapes first: a tensor's strides may repeat values, so its size is not
  // bounded by the file's. Errors as above, and DataLoss for a storage that is
  // truncated or fails its checksum.
  absl::StatusOr<std::vector<std::string>> ReadTensors() const;

 private:
  struct CloseArchive {
    void operator()(zip* archive) const;
  };

  PthFile() = default;

  // The bytes of an entry below the archive's one folder.
  absl::StatusOr<std::string> ReadEntry(const std::string& name,
                                        uint64_t max_bytes) const;

  std::filesystem::path path_;
  uint64_t file_bytes_ = 0;
  std::unique_ptr<zip, CloseArchive> archive_;
  std::string prefix_;  // The archive's one folder, with a slash.
  PickledStateDict dict_;
};

}  // namespace ddgan

#endif  // DDGAN_TRAINER_IMPORT_PTH_FILE_H_
