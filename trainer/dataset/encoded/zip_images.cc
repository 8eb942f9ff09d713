// Pictures in zip archives: OpenZipImages.
#include <sys/stat.h>
#include <zip.h>

#include <filesystem>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "trainer/dataset/encoded/image_archive.h"
#include "trainer/dataset/encoded/image_decoder.h"

namespace ddgan {
namespace {

namespace fs = std::filesystem;
using Image = ImageArchive::Image;

// libzip's own entry, and what it was read from.
constexpr uint64_t kEntryBytes = 256;

struct ZipCloser {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
using Zip = std::unique_ptr<zip_t, ZipCloser>;

struct ZipFileCloser {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

class ZipImages : public ImageArchive {
 public:
  explicit ZipImages(Zip archive) : archive_(std::move(archive)) {}

  absl::StatusOr<std::string_view> Read(const Image& image,
                                        std::string* scratch) const override {
    if (image.size > kMaxEncodedBytes) return TooLargeToRead(image.size);
    absl::MutexLock lock(&mu_);
    const std::unique_ptr<zip_file_t, ZipFileCloser> file(
        zip_fopen_index(archive_.get(), image.place, 0));
    if (file == nullptr) return Error(zip_get_error(archive_.get()));
    // No more than was announced is unpacked.
    scratch->resize(image.size);
    size_t done = 0;
    while (done < scratch->size()) {
      const zip_int64_t read =
          zip_fread(file.get(), scratch->data() + done, scratch->size() - done);
      if (read < 0) return Error(zip_file_get_error(file.get()));
      if (read == 0) return absl::DataLossError("it is cut short");
      done += static_cast<size_t>(read);
    }
    // The checksum is compared when the end is seen, by one read more.
    char beyond = 0;
    const zip_int64_t more = zip_fread(file.get(), &beyond, 1);
    if (more < 0) return Error(zip_file_get_error(file.get()));
    if (more > 0) return absl::DataLossError("it is longer than announced");
    return *scratch;
  }

 private:
  static absl::Status Error(zip_error_t* error) {
    const std::string text = zip_error_strerror(error);
    const int system = zip_error_code_system(error);
    switch (zip_error_code_zip(error)) {
      case ZIP_ER_READ:
      case ZIP_ER_SEEK:
      case ZIP_ER_OPEN:
        // What the disk may be able to give another time.
        return system != 0 ? absl::ErrnoToStatus(system, text)
                           : absl::UnavailableError(text);
      case ZIP_ER_MEMORY:
        return absl::ResourceExhaustedError(text);
      default:
        return absl::DataLossError(text);
    }
  }

  mutable absl::Mutex mu_;
  const Zip archive_ ABSL_PT_GUARDED_BY(mu_);
};

absl::StatusOr<Zip> OpenZip(const fs::path& path) {
  int code = 0;
  Zip archive(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (archive != nullptr) return archive;
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string message =
      absl::StrCat(path.string(), ": ", zip_error_strerror(&error));
  const int system = zip_error_code_system(&error);
  zip_error_fini(&error);
  if (system != 0 && code != ZIP_ER_NOZIP) {
    return absl::ErrnoToStatus(system, message);
  }
  return absl::DataLossError(message);
}

// Written by Unix, and a link, whose content is where it leads.
bool IsLink(zip_t* archive, zip_uint64_t index) {
  zip_uint8_t system = 0;
  zip_uint32_t attributes = 0;
  return zip_file_get_external_attributes(archive, index, 0, &system,
                                          &attributes) == 0 &&
         system == ZIP_OPSYS_UNIX && S_ISLNK(attributes >> 16);
}

}  // namespace

absl::StatusOr<OpenedArchive> OpenZipImages(const std::filesystem::path& path,
                                            const ArchiveOptions& options) {
  absl::StatusOr<Zip> archive = OpenZip(path);
  if (!archive.ok()) return archive.status();
  OpenedArchive opened;
  const zip_int64_t entries = zip_get_num_entries(archive->get(), 0);
  for (zip_int64_t i = 0; i < entries; ++i) {
    const auto index = static_cast<zip_uint64_t>(i);
    zip_stat_t stat;
    if (zip_stat_index(archive->get(), index, ZIP_FL_ENC_RAW, &stat) != 0 ||
        (stat.valid & ZIP_STAT_NAME) == 0 || (stat.valid & ZIP_STAT_SIZE) == 0)
      return absl::DataLossError(absl::StrCat(
          path.string(), ": entry ", i, " of the zip archive is damaged"));
    std::string name = stat.name;
    while (name.starts_with("./")) name.erase(0, 2);
    if (absl::Status s = options.budget->Take(
            kEntryBytes + sizeof(Image) + 2 * name.size(), path);
        !s.ok()) {
      return s;
    }
    if (name.ends_with('/')) continue;  // A folder.
    const bool is_image = IsImagePath(name);
    if (is_image && options.is_of_set && !options.is_of_set(name)) continue;
    if (!is_image) {
      PassOverFile(name, options.report);
    } else if (IsLink(archive->get(), index)) {
      options.report->PassOver(SetReport::Reason::kLinkInArchive, name);
    } else {
      opened.images.push_back({std::move(name), index, stat.size});
    }
  }
  opened.archive = std::make_unique<ZipImages>(*std::move(archive));
  return opened;
}

}  // namespace ddgan
