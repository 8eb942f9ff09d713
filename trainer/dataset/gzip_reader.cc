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

// zlib counts in unsigned int; larger buffers are filled in several turns.
constexpr size_t kMaxTurn = size_t{1} << 30;

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

}  // namespace

struct GzipReader::State {
  std::string path;
  std::unique_ptr<std::FILE, FileCloser> file;
  std::array<uint8_t, 64 * 1024> input;
  bool gzipped = false;
  bool inflating = false;  // Whether `stream` holds memory.
  bool ended = false;
  // next_in and avail_in are the unread part of `input`, gzipped or not.
  z_stream stream = {};

  ~State() {
    if (inflating) inflateEnd(&stream);
  }

  // Reads more input if all of it is used up. At the end of the file there is
  // still none afterwards.
  absl::Status Refill() {
    if (stream.avail_in > 0) return absl::OkStatus();
    stream.next_in = input.data();
    stream.avail_in = static_cast<uInt>(
        std::fread(input.data(), 1, input.size(), file.get()));
    if (std::ferror(file.get())) {
      return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot read"));
    }
    return absl::OkStatus();
  }

  // gzip allows several compressed members, one after the other.
  absl::Status StartNextMemberOrEnd() {
    if (absl::Status status = Refill(); !status.ok()) return status;
    if (stream.avail_in == 0) {
      ended = true;
      return absl::OkStatus();
    }
    if (*stream.next_in != kGzipMagic[0]) {
      return absl::DataLossError(
          absl::StrCat(path, ": other bytes follow the gzip data"));
    }
    inflateReset(&stream);
    return absl::OkStatus();
  }

  absl::StatusOr<size_t> Inflate(absl::Span<uint8_t> buffer) {
    stream.next_out = buffer.data();
    stream.avail_out = static_cast<uInt>(buffer.size());
    while (stream.avail_out > 0 && !ended) {
      if (absl::Status status = Refill(); !status.ok()) return status;
      if (stream.avail_in == 0) {
        return absl::DataLossError(
            absl::StrCat(path, ": the gzip data end in the middle"));
      }
      const int result = inflate(&stream, Z_NO_FLUSH);
      if (result == Z_STREAM_END) {
        if (absl::Status status = StartNextMemberOrEnd(); !status.ok()) {
          return status;
        }
      } else if (result == Z_MEM_ERROR) {
        return absl::ResourceExhaustedError(
            absl::StrCat(path, ": out of memory"));
      } else if (result != Z_OK) {
        return absl::DataLossError(absl::StrCat(
            path, ": damaged gzip data",
            stream.msg == nullptr ? "" : absl::StrCat(" (", stream.msg, ")")));
      }
    }
    return buffer.size() - stream.avail_out;
  }

  absl::StatusOr<size_t> Copy(absl::Span<uint8_t> buffer) {
    if (absl::Status status = Refill(); !status.ok()) return status;
    const size_t size = std::min<size_t>(buffer.size(), stream.avail_in);
    std::copy_n(stream.next_in, size, buffer.data());
    stream.next_in += size;
    stream.avail_in -= static_cast<uInt>(size);
    ended = size == 0;
    return size;
  }

  // Only where the content is the file itself. To seek beyond the end is no
  // error, so the size is asked for.
  absl::StatusOr<uint64_t> Seek(uint64_t bytes) {
    struct stat info;
    const off_t at = ftello(file.get());
    if (at < 0 || fstat(fileno(file.get()), &info) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot seek"));
    }
    const uint64_t read = static_cast<uint64_t>(at) - stream.avail_in;
    const uint64_t rest =
        std::max(static_cast<uint64_t>(info.st_size), read) - read;
    const uint64_t skipped = std::min(bytes, rest);
    if (skipped <= stream.avail_in) {
      stream.next_in += skipped;
      stream.avail_in -= static_cast<uInt>(skipped);
      return skipped;
    }
    if (fseeko(file.get(), static_cast<off_t>(read + skipped), SEEK_SET) != 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot seek"));
    }
    stream.avail_in = 0;
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
  if (state->file == nullptr) {
    return absl::ErrnoToStatus(errno,
                               absl::StrCat(state->path, ": cannot open"));
  }
  if (absl::Status status = state->Refill(); !status.ok()) return status;
  state->gzipped = state->stream.avail_in >= sizeof(kGzipMagic) &&
                   std::equal(std::begin(kGzipMagic), std::end(kGzipMagic),
                              state->stream.next_in);
  if (state->gzipped) {
    constexpr int kGzipOnly = 16;  // zlib.h: added to the window bits.
    if (inflateInit2(&state->stream, MAX_WBITS + kGzipOnly) != Z_OK) {
      return absl::ResourceExhaustedError(
          absl::StrCat(state->path, ": out of memory"));
    }
    state->inflating = true;
  }
  return std::unique_ptr<GzipReader>(new GzipReader(std::move(state)));
}

absl::StatusOr<size_t> GzipReader::Read(absl::Span<uint8_t> buffer) {
  size_t filled = 0;
  while (filled < buffer.size() && !state_->ended) {
    const absl::Span<uint8_t> rest = buffer.subspan(filled, kMaxTurn);
    const absl::StatusOr<size_t> read =
        state_->gzipped ? state_->Inflate(rest) : state_->Copy(rest);
    if (!read.ok()) return read.status();
    filled += *read;
  }
  return filled;
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
