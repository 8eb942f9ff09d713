// Compresses bytes with libarchive, and writes zip archives, for tests.
#ifndef DDGAN_TESTS_TRAINER_DATASET_PACKED_FILE_H_
#define DDGAN_TESTS_TRAINER_DATASET_PACKED_FILE_H_

#include <archive.h>
#include <archive_entry.h>
#include <zip.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ddgan {

// `filter` is "xz", "bzip2" or "zstd"; the content is `piece`, `times` over.
inline std::string Packed(const char* filter, std::string_view piece,
                          int times = 1) {
  std::string packed;
  const auto write = [](archive*, void* to, const void* bytes,
                        size_t size) -> la_ssize_t {
    static_cast<std::string*>(to)->append(static_cast<const char*>(bytes),
                                          size);
    return static_cast<la_ssize_t>(size);
  };
  archive* writer = archive_write_new();
  archive_write_add_filter_by_name(writer, filter);
  archive_write_set_format_raw(writer);
  archive_write_open(writer, &packed, nullptr, write, nullptr);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_pathname(entry, "content");
  archive_write_header(writer, entry);
  for (int i = 0; i < times; ++i) {
    archive_write_data(writer, piece.data(), piece.size());
  }
  archive_entry_free(entry);
  if (archive_write_close(writer) != ARCHIVE_OK) {
    std::fprintf(stderr, "%s: %s\n", filter, archive_error_string(writer));
    std::abort();
  }
  archive_write_free(writer);
  return packed;
}

struct ZipEntry {
  std::string name;
  std::string content;
  bool stored = false;
  bool link = false;  // As Unix has it; the content is where it leads.
};

inline void WriteZipFile(const std::filesystem::path& path,
                         const std::vector<ZipEntry>& entries) {
  int code = 0;
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  for (const ZipEntry& entry : entries) {
    zip_source_t* source = zip_source_buffer(archive, entry.content.data(),
                                             entry.content.size(), 0);
    const zip_int64_t index =
        zip_file_add(archive, entry.name.c_str(), source, 0);
    if (index < 0) std::abort();
    const auto at = static_cast<zip_uint64_t>(index);
    if (entry.stored) zip_set_file_compression(archive, at, ZIP_CM_STORE, 0);
    if (entry.link) {
      zip_file_set_external_attributes(archive, at, 0, ZIP_OPSYS_UNIX,
                                       zip_uint32_t{0120777} << 16);
    }
  }
  if (zip_close(archive) != 0) {
    std::fprintf(stderr, "%s: %s\n", path.c_str(), zip_strerror(archive));
    std::abort();
  }
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_TRAINER_DATASET_PACKED_FILE_H_
