#include "trainer/dataset/gzip_reader.h"

#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr uint8_t kGzipMagic[] = {0x1f, 0x8b};

// zlib counts in unsigned int; a larger buffer is filled in several turns.
constexpr size_t kMaxTurn = size_t{1} << 30;

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

struct GzipReader::State {
  std::string path;
  std::unique_ptr<std::FILE, FileCloser> file;
  bool gzipped = false;
  // Of a gzipped file; next_in and avail_in are the unread part of `input`.
  std::array<uint8_t, 64 * 1024> input;
  z_stream stream = {};
  // gzip allows several compressed members, one after the other.
  bool between_members = false;

  ~State() {
    if (gzipped) inflateEnd(&stream);
  }

  absl::Status SystemError(const char* what) const {
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot ", what));
  }

  absl::Status DataLoss(absl::string_view what) const {
    return absl::DataLossError(absl::StrCat(path, ": ", what));
  }

  absl::StatusOr<size_t> ReadFile(absl::Span<uint8_t> buffer) {
    const size_t read = std::fread(buffer.data(), 1, buffer.size(), file.get());
    if (std::ferror(file.get())) return SystemError("read");
    return read;
  }

  // Decompresses until `buffer` is full or the content ends.
  absl::StatusOr<size_t> Inflate(absl::Span<uint8_t> buffer) {
    size_t filled = 0;
    while (filled < buffer.size()) {
      if (stream.avail_in == 0) {
        const absl::StatusOr<size_t> read = ReadFile(absl::MakeSpan(input));
        if (!read.ok()) return read.status();
        stream.next_in = input.data();
        stream.avail_in = static_cast<uInt>(*read);
      }
      if (stream.avail_in == 0) {
        if (between_members) break;
        return DataLoss("the gzip data end in the middle");
      }
      if (between_members) {
        if (*stream.next_in != kGzipMagic[0])
          return DataLoss("other bytes follow the gzip data");
        inflateReset(&stream);
      }
      const size_t turn = std::min(buffer.size() - filled, kMaxTurn);
      stream.next_out = buffer.data() + filled;
      stream.avail_out = static_cast<uInt>(turn);
      const int result = inflate(&stream, Z_NO_FLUSH);
      if (result == Z_MEM_ERROR)
        return absl::ResourceExhaustedError(path + ": out of memory");
      if (result != Z_OK && result != Z_STREAM_END) {
        return DataLoss(absl::StrCat(
            "damaged gzip data",
            stream.msg == nullptr ? "" : absl::StrCat(" (", stream.msg, ")")));
      }
      filled += turn - stream.avail_out;
      between_members = result == Z_STREAM_END;
    }
    return filled;
  }

  // Only where the content is the file itself. To seek beyond the end is no
  // error, so the size is asked for.
  absl::StatusOr<uint64_t> Seek(uint64_t bytes) {
    struct stat info;
    const off_t at = ftello(file.get());
    if (at < 0 || fstat(fileno(file.get()), &info) != 0)
      return SystemError("seek");
    const uint64_t skipped =
        std::min(bytes, static_cast<uint64_t>(std::max(info.st_size, at) - at));
    if (fseeko(file.get(), static_cast<off_t>(skipped), SEEK_CUR) != 0)
      return SystemError("seek");
    return skipped;
  }
};

GzipReader::GzipReader(std::unique_ptr<State> state)
    : state_(std::move(state)) {}

GzipReader::~GzipReader() = default;

absl::StatusOr<std::unique_ptr<GzipReader>> GzipReader::Open(
    const std::filesystem::path& path) {
  auto state = std::make_unique<State>();
  state->path = path.string();
  state->file.reset(std::fopen(path.c_str(), "rb"));
  if (state->file == nullptr) return state->SystemError("open");
  std::array<uint8_t, sizeof(kGzipMagic)> magic = {};
  const absl::StatusOr<size_t> read = state->ReadFile(absl::MakeSpan(magic));
  if (!read.ok()) return read.status();
  if (std::fseek(state->file.get(), 0, SEEK_SET) != 0)
    return state->SystemError("seek");
  if (std::equal(magic.begin(), magic.end(), kGzipMagic)) {
    constexpr int kGzipOnly = 16;  // zlib.h: added to the window bits.
    if (inflateInit2(&state->stream, MAX_WBITS + kGzipOnly) != Z_OK)
      return absl::ResourceExhaustedError(state->path + ": out of memory");
    state->gzipped = true;
  }
  return std::unique_ptr<GzipReader>(new GzipReader(std::move(state)));
}

absl::StatusOr<size_t> GzipReader::Read(absl::Span<uint8_t> buffer) {
  return state_->gzipped ? state_->Inflate(buffer) : state_->ReadFile(buffer);
}

absl::StatusOr<uint64_t> GzipReader::Skip(uint64_t bytes) {
  if (!state_->gzipped) return state_->Seek(bytes);
  uint8_t unwanted[16 * 1024];
  uint64_t skipped = 0;
  while (skipped < bytes) {
    const size_t turn = static_cast<size_t>(
        std::min<uint64_t>(bytes - skipped, sizeof(unwanted)));
    const absl::StatusOr<size_t> read = Read(absl::MakeSpan(unwanted, turn));
    if (!read.ok()) return read.status();
    skipped += *read;
    if (*read < turn) break;
  }
  return skipped;
}

bool GzipReader::gzipped() const { return state_->gzipped; }

}  // namespace ddgan
