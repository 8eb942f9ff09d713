#include "client/command_line/image_writer.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/command_line/image_grid.h"
#include "client/command_line/output_files.h"
#include "client/format_name.h"

namespace ddgan {
namespace {

// To the file, or to `out` if that is what the path says.
absl::Status WriteImage(const std::string& path, const std::string& bytes,
                        std::ostream& out) {
  if (path != kStandardOutput) return WriteFile(path, bytes);
  if (!(out << bytes << std::flush)) {
    return absl::UnavailableError("cannot write to stdout");
  }
  return absl::OkStatus();
}

class FilePerImageWriter final : public ImageWriter {
 public:
  FilePerImageWriter(std::string pattern, uint32_t first_index, uint32_t count,
                     std::ostream& out)
      : out_(out),
        pattern_(std::move(pattern)),
        first_index_(first_index),
        last_index_(first_index + (count - 1)) {}

  absl::Status Add(const v1::GeneratedImage& image,
                   const v1::ImageShape& /*shape*/) override {
    return WriteImage(OutputPath(pattern_, image.index()), image.data(), out_);
  }

  absl::StatusOr<std::string> Finish() override {
    const std::string first = OutputPath(pattern_, first_index_);
    const std::string last = OutputPath(pattern_, last_index_);
    return first == last ? first : absl::StrCat(first, " to ", last);
  }

 private:
  std::ostream& out_;
  const std::string pattern_;
  const uint32_t first_index_;
  const uint32_t last_index_;
};

class GridWriter final : public ImageWriter {
 public:
  GridWriter(std::string path, uint32_t first_index, uint32_t count,
             std::ostream& out)
      : out_(out),
        path_(std::move(path)),
        first_index_(first_index),
        count_(count) {}

  absl::Status Add(const v1::GeneratedImage& image,
                   const v1::ImageShape& shape) override {
    shape_ = shape;
    const size_t size = image.data().size();
    // Known at the first image: better now than after an hour.
    if (size > kMaxGridBytes / count_) {
      return absl::InvalidArgumentError(absl::StrCat(
          count_, " images of ", shape_.width(), "x", shape_.height(),
          " are too many for one grid: leave --grid out"));
    }
    pixels_.resize(count_ * size);
    pixels_.replace((image.index() - first_index_) * size, size, image.data());
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> Finish() override {
    const absl::StatusOr<GridPicture> grid = ArrangeGrid(pixels_, shape_);
    if (!grid.ok()) return grid.status();
    const absl::StatusOr<std::string> png = EncodePng(*grid);
    if (!png.ok()) return png.status();
    if (absl::Status s = WriteImage(path_, *png, out_); !s.ok()) return s;
    return path_;
  }

 private:
  std::ostream& out_;
  const std::string path_;
  const uint32_t first_index_;
  const uint32_t count_;
  v1::ImageShape shape_;
  std::string pixels_;  // By ascending index.
};

}  // namespace

absl::StatusOr<std::unique_ptr<ImageWriter>> CreateImageWriter(
    const GenerateCommand& command, std::ostream& out_stream) {
  if (command.grid) {
    if (absl::Status s = CheckExtension(command.out, "png"); !s.ok()) return s;
    return std::make_unique<GridWriter>(
        command.out.empty() ? "ddgan-grid.png" : command.out,
        command.request.first_index(), command.count, out_stream);
  }
  const std::string extension = FormatName(command.request.format());
  const std::string out =
      command.out.empty() ? absl::StrCat("ddgan-%d.", extension) : command.out;
  std::error_code ignored;  // What cannot be looked at is no folder.
  const absl::StatusOr<std::string> pattern =
      OutputPattern(out, std::filesystem::is_directory(out, ignored),
                    command.count, extension);
  if (!pattern.ok()) return pattern.status();
  return std::make_unique<FilePerImageWriter>(
      *pattern, command.request.first_index(), command.count, out_stream);
}

}  // namespace ddgan
