#include "trainer/dataset/encoded/unpacked_file.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr std::string_view kGzipMagic = "\x1f\x8b";
// Of what libarchive unpacks: xz, bzip2 and Zstandard.
constexpr std::string_view kOtherMagic[] = {std::string_view("\xfd"
                                                             "7zXZ\0",
                                                             6),
                                            "BZh", "\x28\xb5\x2f\xfd"};
constexpr size_t kMagicBytes = 6;

// zlib counts in unsigned int; a larger buffer is filled in several turns.
constexpr size_t kMaxTurn = size_t{1} << 30;

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

struct ArchiveCloser {
  void operator()(archive* reader) const { archive_read_free(reader); }
};

}  // namespace

struct UnpackedFile::State {
  std::string path;
  std::unique_ptr<std::FILE, FileCloser> file;
  uint64_t file_bytes = 0;
  uint64_t unpacked = 0;  // So far.
  // Of a gzipped file; next_in and avail_in are the unread part of `input`.
  bool gzipped = false;
  std::array<uint8_t, 64 * 1024> input;
  z_stream stream = {};
  // gzip allows several compressed members, one after the other.
  bool between_members = false;
  // Of a file in another of the formats; null in others.
  std::unique_ptr<archive, ArchiveCloser> reader;

  ~State() {
    if (gzipped) inflateEnd(&stream);
  }

  absl::Status SystemError(const char* what) const {
    return absl::ErrnoToStatus(errno, absl::StrCat(path, ": cannot ", what));
  }

  absl::Status DataLoss(absl::string_view what) const {
    return absl::DataLossError(absl::StrCat(path, ": ", what));
  }

  absl::Status OutOfMemory() const {
    return absl::ResourceExhaustedError(path + ": out of memory");
  }

  absl::StatusOr<size_t> ReadFile(absl::Span<uint8_t> buffer) {
    const size_t read = std::fread(buffer.data(), 1, buffer.size(), file.get());
    if (std::ferror(file.get())) return SystemError("read");
    return read;
  }

  absl::Status StartGzip() {
    constexpr int kGzipOnly = 16;  // zlib.h: added to the window bits.
    if (inflateInit2(&stream, MAX_WBITS + kGzipOnly) != Z_OK)
      return OutOfMemory();
    gzipped = true;
    return absl::OkStatus();
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
        if (*stream.next_in != static_cast<uint8_t>(kGzipMagic[0]))
          return DataLoss("other bytes follow the gzip data");
        inflateReset(&stream);
      }
      const size_t turn = std::min(buffer.size() - filled, kMaxTurn);
      stream.next_out = buffer.data() + filled;
      stream.avail_out = static_cast<uInt>(turn);
      const int result = inflate(&stream, Z_NO_FLUSH);
      if (result == Z_MEM_ERROR) return OutOfMemory();
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

  absl::Status ReaderError() {
    if (std::ferror(file.get())) return SystemError("read");
    if (archive_errno(reader.get()) == ENOMEM) return OutOfMemory();
    const char* reason = archive_error_string(reader.get());
    return DataLoss(absl::StrCat("damaged compressed data (",
                                 reason == nullptr ? "unknown" : reason, ")"));
  }

  // One filter over bytes that are not looked at further.
  absl::Status StartReader() {
    reader.reset(archive_read_new());
    if (reader == nullptr) return OutOfMemory();
    archive_read_support_filter_xz(reader.get());
    archive_read_support_filter_bzip2(reader.get());
    archive_read_support_filter_zstd(reader.get());
    archive_read_support_format_raw(reader.get());
    archive_entry* entry = nullptr;
    if (archive_read_open_FILE(reader.get(), file.get()) != ARCHIVE_OK ||
        archive_read_next_header(reader.get(), &entry) != ARCHIVE_OK) {
      return ReaderError();
    }
    // The filter, and the file under it. libarchive would unpack packed data in
    // packed data, each a thousandfold.
    const int filters = archive_filter_count(reader.get());
    if (filters < 2) return DataLoss("damaged compressed data");
    if (filters > 2) return DataLoss("is compressed more than once");
    return absl::OkStatus();
  }

  absl::StatusOr<size_t> ReadReader(absl::Span<uint8_t> buffer) {
    const la_ssize_t read =
        archive_read_data(reader.get(), buffer.data(), buffer.size());
    if (read < 0) return ReaderError();
    return static_cast<size_t>(read);
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

UnpackedFile::UnpackedFile(std::unique_ptr<State> state)
    : state_(std::move(state)) {}

UnpackedFile::~UnpackedFile() = default;

absl::StatusOr<std::unique_ptr<UnpackedFile>> UnpackedFile::Open(
    const std::filesystem::path& path) {
  auto state = std::make_unique<State>();
  state->path = path.string();
  state->file.reset(std::fopen(path.c_str(), "rb"));
  if (state->file == nullptr) return state->SystemError("open");
  struct stat info;
  if (fstat(fileno(state->file.get()), &info) != 0)
    return state->SystemError("look at");
  state->file_bytes = static_cast<uint64_t>(info.st_size);
  std::array<uint8_t, kMagicBytes> magic;
  const absl::StatusOr<size_t> read = state->ReadFile(absl::MakeSpan(magic));
  if (!read.ok()) return read.status();
  if (std::fseek(state->file.get(), 0, SEEK_SET) != 0)
    return state->SystemError("seek");
  const std::string_view start(reinterpret_cast<const char*>(magic.data()),
                               *read);
  absl::Status status;
  if (start.starts_with(kGzipMagic)) {
    status = state->StartGzip();
  } else if (std::any_of(std::begin(kOtherMagic), std::end(kOtherMagic),
                         [start](std::string_view format) {
                           return start.starts_with(format);
                         })) {
    status = state->StartReader();
  }
  if (!status.ok()) return status;
  return std::unique_ptr<UnpackedFile>(new UnpackedFile(std::move(state)));
}

absl::StatusOr<size_t> UnpackedFile::Read(absl::Span<uint8_t> buffer) {
  if (!packed()) return state_->ReadFile(buffer);
  const absl::StatusOr<size_t> read =
      state_->gzipped ? state_->Inflate(buffer) : state_->ReadReader(buffer);
  if (!read.ok()) return read;
  state_->unpacked += *read;
  const uint64_t excess =
      state_->unpacked - std::min(state_->unpacked, kMaxUnpackedBytes);
  if (excess / kMaxUnpackedTimes > state_->file_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat(
        state_->path, ": its ", state_->file_bytes,
        " bytes unpack to more than ", kMaxUnpackedTimes, " times as many and ",
        kMaxUnpackedBytes, "; a set of pictures does not"));
  }
  return read;
}

absl::StatusOr<uint64_t> UnpackedFile::Skip(uint64_t bytes) {
  if (!packed()) return state_->Seek(bytes);
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

bool UnpackedFile::packed() const {
  return state_->gzipped || state_->reader != nullptr;
}

}  // namespace ddgan
