#include "client/command_line/output_files.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace ddgan {
namespace {

// Makes the folders above it, too.
absl::StatusOr<std::FILE*> OpenToWrite(const std::string& path,
                                       const char* mode) {
  const std::filesystem::path folder =
      std::filesystem::path(path).parent_path();
  if (!folder.empty()) {
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) {
      return absl::ErrnoToStatus(
          error.value(),
          absl::StrCat("cannot make the folder ", folder.string()));
    }
  }
  std::FILE* const file = std::fopen(path.c_str(), mode);
  if (file == nullptr) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  }
  return file;
}

}  // namespace

absl::StatusOr<std::string> OutputPattern(const std::string& out,
                                          bool out_is_folder, uint32_t count,
                                          const std::string& extension) {
  if (out_is_folder || absl::EndsWith(out, "/")) {
    return absl::StrCat(out, absl::EndsWith(out, "/") ? "" : "/", "%d.",
                        extension);
  }
  if (absl::Status status = CheckExtension(out, extension); !status.ok()) {
    return status;
  }
  if (count > 1 && !absl::StrContains(out, "%d")) {
    return absl::InvalidArgumentError(
        absl::StrCat("--out=", out, " is one file name for ", count,
                     " images: name a folder (", out,
                     "/), put %d where the index goes, or "
                     "use --grid"));
  }
  return out;
}

absl::Status CheckExtension(const std::string& out,
                            const std::string& extension) {
  const std::string ending =
      absl::AsciiStrToLower(std::filesystem::path(out).extension().string());
  for (const char* kind : {"png", "jpg", "jpeg", "jpe", "jfif", "gif", "webp",
                           "bmp", "tif", "tiff", "raw8", "float32"}) {
    if (ending != absl::StrCat(".", kind) || kind == extension) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--out=", out, " would hold ", absl::AsciiStrToUpper(extension),
        ", whatever its name: let it end in .", extension));
  }
  return absl::OkStatus();
}

std::string OutputPath(const std::string& pattern, uint32_t index) {
  return absl::StrReplaceAll(pattern, {{"%d", absl::StrCat(index)}});
}

std::string PreviewPath(const std::string& folder, uint64_t seed,
                        uint32_t index, uint32_t step,
                        const std::string& extension) {
  return absl::StrCat(folder, absl::EndsWith(folder, "/") ? "" : "/", seed, "-",
                      index, "-step", step, ".", extension);
}

absl::Status CheckFileWritable(const std::string& path) {
  const absl::StatusOr<std::FILE*> file = OpenToWrite(path, "ab");
  if (file.ok()) std::fclose(*file);
  return file.status();
}

absl::Status WriteFile(const std::string& path, absl::string_view bytes) {
  const absl::StatusOr<std::FILE*> opened = OpenToWrite(path, "wb");
  if (!opened.ok()) return opened.status();
  std::FILE* const file = *opened;
  const bool written =
      std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() &&
      std::fflush(file) == 0;
  const int write_error = errno;
  // Network file systems report some errors only now.
  const bool closed = std::fclose(file) == 0;
  if (!written || !closed) {
    const int failure = written ? errno : write_error;
    // A part of an image is worse than none.
    std::error_code ignored;
    if (std::filesystem::is_regular_file(path, ignored)) {
      std::filesystem::remove(path, ignored);
    }
    return absl::ErrnoToStatus(failure, absl::StrCat("cannot write ", path));
  }
  return absl::OkStatus();
}

}  // namespace ddgan
