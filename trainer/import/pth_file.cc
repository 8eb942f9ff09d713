#include "trainer/import/pth_file.h"

#include <zip.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "trainer/import/pickle_values.h"

namespace ddgan {
namespace {

constexpr char kPickleName[] = "data.pkl";
constexpr uint64_t kMaxPickleBytes = uint64_t{16} << 20;
constexpr uint64_t kMaxByteOrderBytes = 16;
constexpr zip_int64_t kMaxEntries = 1 << 20;

absl::Status ErrorOf(const std::filesystem::path& path,
                     const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path.string(), ": ", what));
}

// What the first bytes of a file say that libzip would not.
absl::Status CheckSignature(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::NotFoundError(
        absl::StrCat(path.string(), ": cannot be opened"));
  }
  char start[4] = {};
  file.read(start, sizeof(start));
  if (std::memcmp(start, "PK\x03\x04", sizeof(start)) == 0)
    return absl::OkStatus();
  if (start[0] == '\x80' && start[1] == '\x02') {
    return ErrorOf(path,
                   "was saved by torch before 1.6, whose files are pickles of "
                   "another kind; load and save it again with a newer torch");
  }
  return ErrorOf(path, "is no file of torch.save: it is not a zip archive");
}

// The folder that holds data.pkl, and with it all else. Refuses two entries of
// one name: readers differ in which they take.
absl::StatusOr<std::string> FindPrefix(zip* archive) {
  const zip_int64_t count = zip_get_num_entries(archive, 0);
  if (count > kMaxEntries)
    return absl::InvalidArgumentError(absl::StrCat("has ", count, " entries"));
  std::set<std::string_view> names;
  std::string prefix;
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* name = zip_get_name(archive, i, ZIP_FL_ENC_RAW);
    if (name == nullptr)
      return absl::InvalidArgumentError("has an entry without a name");
    if (!names.insert(name).second)
      return absl::InvalidArgumentError("has two entries of one name");
    const char* slash = std::strchr(name, '/');
    if (slash != nullptr && std::strcmp(slash + 1, kPickleName) == 0) {
      if (!prefix.empty()) return absl::InvalidArgumentError("has two pickles");
      prefix.assign(name, slash + 1);
    }
  }
  if (prefix.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("is no file of torch.save: it has no ", kPickleName));
  }
  if (names.count(absl::StrCat(prefix, "constants.pkl")) != 0) {
    return absl::InvalidArgumentError(
        "is a TorchScript module; import the state_dict that was saved");
  }
  return prefix;
}

// Row-major copy of a window whose every element is inside `storage`.
std::string Gather(const PickledTensor& tensor, size_t value_bytes,
                   const std::string& storage) {
  const size_t rank = tensor.shape.size();
  size_t count = 1;
  for (int64_t size : tensor.shape) count *= static_cast<size_t>(size);
  std::string values;
  values.resize(count * value_bytes);
  std::vector<int64_t> index(rank, 0);
  int64_t position = tensor.offset;
  for (size_t i = 0; i < count; ++i) {
    std::memcpy(values.data() + i * value_bytes,
                storage.data() + static_cast<size_t>(position) * value_bytes,
                value_bytes);
    // To the next index, the last dimension fastest.
    for (size_t d = rank; d-- > 0;) {
      if (tensor.shape[d] == 1) continue;  // Its stride may be anything.
      position += tensor.strides[d];
      if (++index[d] < tensor.shape[d]) break;
      position -= index[d] * tensor.strides[d];
      index[d] = 0;
    }
  }
  return values;
}

}  // namespace

void PthFile::CloseArchive::operator()(zip* archive) const {
  zip_discard(archive);
}

absl::StatusOr<std::string> PthFile::ReadEntry(const std::string& name,
                                               uint64_t max_bytes) const {
  const std::string entry = prefix_ + name;
  const auto error = [&](const std::string& what) {
    return ErrorOf(path_, absl::StrCat(pickle::Printable(entry), " ", what));
  };
  zip_stat_t stat;
  constexpr zip_uint64_t kNeeded =
      ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
  if (zip_stat(archive_.get(), entry.c_str(), ZIP_FL_ENC_RAW, &stat) != 0)
    return error("is missing");
  if ((stat.valid & kNeeded) != kNeeded) return error("is not described");
  if (stat.comp_method != ZIP_CM_STORE || stat.comp_size != stat.size)
    return error("is compressed, which torch.save never does");
  if (stat.size > max_bytes || stat.size > file_bytes_) {
    return error(absl::StrCat("claims ", stat.size, " bytes; at most ",
                              std::min(max_bytes, file_bytes_),
                              " are possible"));
  }
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(
      zip_fopen(archive_.get(), entry.c_str(), ZIP_FL_ENC_RAW), &zip_fclose);
  if (file == nullptr) {
    return error(
        absl::StrCat("cannot be opened: ", zip_strerror(archive_.get())));
  }
  std::string bytes;
  bytes.resize(stat.size);
  size_t done = 0;
  zip_int64_t count = 0;
  do {
    count = zip_fread(file.get(), bytes.data() + done, bytes.size() - done);
    if (count > 0) done += static_cast<size_t>(count);
  } while (count > 0 && done < bytes.size());
  // The checksum is compared when the end is seen, by one read more.
  char beyond = 0;
  if (count < 0 || done != bytes.size() ||
      zip_fread(file.get(), &beyond, 1) != 0) {
    return absl::DataLossError(
        absl::StrCat(path_.string(), ": ", entry,
                     " is damaged: ", zip_file_strerror(file.get())));
  }
  return bytes;
}

absl::StatusOr<PthFile> PthFile::Open(const std::filesystem::path& path) {
  if (auto status = CheckSignature(path); !status.ok()) return status;
  std::error_code size_error;
  PthFile file;
  file.path_ = path;
  file.file_bytes_ = std::filesystem::file_size(path, size_error);
  if (size_error) {
    return absl::ErrnoToStatus(size_error.value(),
                               absl::StrCat(path.string(), ": has no size"));
  }
  int code = 0;
  file.archive_.reset(
      zip_open(path.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
  if (file.archive_ == nullptr) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string what = zip_error_strerror(&error);
    zip_error_fini(&error);
    return ErrorOf(path, absl::StrCat("is a damaged zip archive: ", what));
  }
  absl::StatusOr<std::string> prefix = FindPrefix(file.archive_.get());
  if (!prefix.ok())
    return ErrorOf(path, std::string(prefix.status().message()));
  file.prefix_ = *std::move(prefix);

  // Written since torch 2.1; before, files were little-endian too.
  if (zip_name_locate(file.archive_.get(),
                      absl::StrCat(file.prefix_, "byteorder").c_str(),
                      ZIP_FL_ENC_RAW) >= 0) {
    const absl::StatusOr<std::string> order =
        file.ReadEntry("byteorder", kMaxByteOrderBytes);
    if (!order.ok()) return order.status();
    if (*order != "little")
      return ErrorOf(path, "was saved on a big-endian machine");
  }
  const absl::StatusOr<std::string> pickle =
      file.ReadEntry(kPickleName, kMaxPickleBytes);
  if (!pickle.ok()) return pickle.status();
  absl::StatusOr<PickledStateDict> dict = ReadStateDictPickle(*pickle);
  if (!dict.ok()) return ErrorOf(path, std::string(dict.status().message()));
  file.dict_ = *std::move(dict);
  return file;
}

DType PthFile::dtype(const PickledTensor& tensor) const {
  return dict_.storages[tensor.storage].dtype;
}

absl::StatusOr<std::vector<std::string>> PthFile::ReadTensors() const {
  std::vector<std::string> storages;
  uint64_t total = 0;
  for (const PickledStorage& storage : dict_.storages) {
    // Entries may overlap in a file made to blow up a reader.
    absl::StatusOr<std::string> bytes =
        ReadEntry(absl::StrCat("data/", storage.key), file_bytes_ - total);
    if (!bytes.ok()) return bytes.status();
    total += bytes->size();
    const auto value_bytes = static_cast<uint64_t>(DTypeBytes(storage.dtype));
    if (bytes->size() % value_bytes != 0 ||
        bytes->size() / value_bytes !=
            static_cast<uint64_t>(storage.num_values)) {
      return ErrorOf(
          path_, absl::StrCat("storage ", storage.key, " has ", bytes->size(),
                              " bytes, its pickle says ", storage.num_values,
                              " values of ", DTypeName(storage.dtype)));
    }
    storages.push_back(*std::move(bytes));
  }
  std::vector<std::string> values;
  for (const PickledTensor& tensor : dict_.tensors) {
    values.push_back(Gather(tensor,
                            static_cast<size_t>(DTypeBytes(dtype(tensor))),
                            storages[tensor.storage]));
  }
  return values;
}

}  // namespace ddgan
