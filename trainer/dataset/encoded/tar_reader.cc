#include "trainer/dataset/encoded/tar_reader.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kMaxExtension = size_t{64} << 10;
constexpr size_t kMaxPath = 4096;

using Block = std::array<uint8_t, kBlock>;

// POSIX.1-1988, section 10.1.1: where a header's fields begin, and their sizes.
struct Field {
  size_t at;
  size_t size;
};
constexpr Field kName = {0, 100};
constexpr Field kSize = {124, 12};
constexpr Field kChecksum = {148, 8};
constexpr size_t kType = 156;
constexpr Field kTarget = {157, 100};
constexpr Field kMagic = {257, 6};
constexpr Field kPrefix = {345, 155};

std::string_view Text(const Block& block, Field field) {
  const std::string_view text(
      reinterpret_cast<const char*>(block.data()) + field.at, field.size);
  return text.substr(0, text.find('\0'));
}

// Octal digits between spaces, ended by the field, a space or a zero byte; or,
// GNU's, big-endian binary after a byte of 0x80.
std::optional<uint64_t> Number(const Block& block, Field field) {
  const uint8_t* const bytes = block.data() + field.at;
  uint64_t value = 0;
  if ((bytes[0] & 0x80) != 0) {
    if (bytes[0] != 0x80) return std::nullopt;  // Negative, or above 2^64.
    for (size_t i = 1; i < field.size; ++i) {
      if (value >> 56 != 0) return std::nullopt;
      value = value << 8 | bytes[i];
    }
    return value;
  }
  std::string_view text = Text(block, field);
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  text = text.substr(0, text.find(' '));
  if (text.empty()) return std::nullopt;
  for (const char c : text) {  // At most 12 digits: 36 bits.
    if (c < '0' || c > '7') return std::nullopt;
    value = value << 3 | static_cast<uint64_t>(c - '0');
  }
  return value;
}

// The sum of all bytes with the checksum itself as spaces. Some writers of old
// took bytes as signed.
bool ChecksumFits(const Block& block) {
  const std::optional<uint64_t> wanted = Number(block, kChecksum);
  if (!wanted) return false;
  int64_t sum = 0;
  int64_t signed_sum = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    const bool own = i >= kChecksum.at && i < kChecksum.at + kChecksum.size;
    const uint8_t byte = own ? ' ' : block[i];
    sum += byte;
    signed_sum += static_cast<int8_t>(byte);
  }
  const int64_t found = static_cast<int64_t>(*wanted);
  return found == sum || found == signed_sum;
}

std::string PathOf(const Block& block) {
  const std::string_view name = Text(block, kName);
  // GNU's own format puts other things where ustar has a prefix.
  const bool ustar = Text(block, kMagic) == "ustar";
  const std::string_view prefix =
      ustar ? Text(block, kPrefix) : std::string_view();
  if (prefix.empty()) return std::string(name);
  return std::string(prefix) + "/" + std::string(name);
}

// What pax records may change of the header that follows.
struct PaxRecords {
  std::optional<std::string> path;
  std::optional<std::string> target;
  std::optional<uint64_t> size;
};

// A decimal number at the start of `text`, taken off it.
std::optional<uint64_t> TakeDecimal(std::string_view* text) {
  constexpr size_t kMaxDigits = 19;  // Below 2^64.
  uint64_t value = 0;
  size_t digits = 0;
  while (digits < text->size() && (*text)[digits] >= '0' &&
         (*text)[digits] <= '9') {
    if (digits == kMaxDigits) return std::nullopt;
    value = value * 10 + static_cast<uint64_t>((*text)[digits] - '0');
    ++digits;
  }
  if (digits == 0) return std::nullopt;
  text->remove_prefix(digits);
  return value;
}

// Records "<length> <key>=<value>\n", where the length counts all of it. False
// if they are not.
bool ParsePax(std::string_view text, PaxRecords* records) {
  while (!text.empty()) {
    std::string_view rest = text;
    const std::optional<uint64_t> length = TakeDecimal(&rest);
    const size_t digits = text.size() - rest.size();
    if (!length || *length > text.size() || *length < digits + 2 ||
        rest.front() != ' ' || text[*length - 1] != '\n') {
      return false;
    }
    const std::string_view record =
        text.substr(digits + 1, *length - digits - 2);
    text.remove_prefix(*length);
    const size_t equals = record.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = record.substr(0, equals);
    std::string_view value = record.substr(equals + 1);
    if (key == "path") {
      records->path = std::string(value);
    } else if (key == "linkpath") {
      records->target = std::string(value);
    } else if (key == "size") {
      records->size = TakeDecimal(&value);
      if (!records->size || !value.empty()) return false;
    }
  }
  return true;
}

// Links and devices: whatever their size says, no data follow.
bool HasNoData(char type) { return type >= '1' && type <= '6'; }

std::optional<TarMember::Kind> KindOf(char type) {
  switch (type) {
    case '0':
    case '\0':
    case '7':
      return TarMember::Kind::kFile;
    case '1':
      return TarMember::Kind::kHardLink;
    case '2':
      return TarMember::Kind::kSymbolicLink;
    default:
      return std::nullopt;
  }
}

bool IsUsablePath(const std::string& path) {
  return !path.empty() && path.size() <= kMaxPath &&
         path.find('\0') == std::string::npos;
}

}  // namespace

struct TarReader::Header {
  char type;
  std::string path;
  std::string target;
  uint64_t size;
};

absl::StatusOr<std::unique_ptr<TarReader>> TarReader::Open(
    const std::filesystem::path& path) {
  absl::StatusOr<std::unique_ptr<UnpackedFile>> file = UnpackedFile::Open(path);
  if (!file.ok()) return file.status();
  return std::unique_ptr<TarReader>(
      new TarReader(path.string(), *std::move(file)));
}

TarReader::TarReader(std::string path, std::unique_ptr<UnpackedFile> file)
    : path_(std::move(path)), file_(std::move(file)) {}

absl::Status TarReader::Damaged(const std::string& what) const {
  return absl::DataLossError(
      absl::StrCat(path_, ": ", what, " at byte ", position_,
                   file_->packed() ? " of the unpacked archive" : ""));
}

absl::Status TarReader::ReadExactly(uint8_t* bytes, size_t size) {
  const absl::StatusOr<size_t> read = file_->Read(absl::MakeSpan(bytes, size));
  if (!read.ok()) return read.status();
  position_ += *read;
  return *read == size ? absl::OkStatus()
                       : Damaged("the tar archive is cut short");
}

absl::Status TarReader::SkipExactly(uint64_t bytes) {
  const absl::StatusOr<uint64_t> skipped = file_->Skip(bytes);
  if (!skipped.ok()) return skipped.status();
  position_ += *skipped;
  return *skipped == bytes ? absl::OkStatus()
                           : Damaged("the tar archive is cut short");
}

absl::StatusOr<std::optional<TarReader::Header>> TarReader::ReadHeader() {
  if (absl::Status s = SkipExactly(content_); !s.ok()) return s;
  if (absl::Status s = SkipExactly(padding_); !s.ok()) return s;
  content_ = padding_ = 0;
  const uint64_t start = position_;
  Block block;
  if (absl::Status s = ReadExactly(block.data(), kBlock); !s.ok()) return s;
  if (std::all_of(block.begin(), block.end(),
                  [](uint8_t byte) { return byte == 0; })) {
    const absl::StatusOr<uint64_t> rest =
        file_->Skip(std::numeric_limits<uint64_t>::max());
    if (!rest.ok()) return rest.status();
    return std::nullopt;
  }
  const std::optional<uint64_t> size = Number(block, kSize);
  const bool fits = ChecksumFits(block);
  if (!fits || !size) {
    position_ = start;
    return Damaged(start == 0 ? "not a tar archive: no header"
                   : fits     ? "a tar header of no valid size"
                              : "a tar header whose checksum does not fit");
  }
  return Header{static_cast<char>(block[kType]), PathOf(block),
                std::string(Text(block, kTarget)), *size};
}

absl::StatusOr<std::string> TarReader::ReadExtension(const Header& header) {
  if (header.size > kMaxExtension) {
    return Damaged(absl::StrCat("a long name or pax header of ", header.size,
                                " bytes, allowed are at most ", kMaxExtension,
                                ","));
  }
  std::string text;
  if (absl::Status s = ReadContent(&text); !s.ok()) return s;
  return text;
}

absl::StatusOr<std::optional<TarMember>> TarReader::Next() {
  std::optional<std::string> long_name;
  std::optional<std::string> long_target;
  PaxRecords pax;
  while (true) {
    absl::StatusOr<std::optional<Header>> next = ReadHeader();
    if (!next.ok()) return next.status();
    if (!*next) return std::nullopt;
    Header& header = **next;
    const bool extension =
        header.type == 'L' || header.type == 'K' || header.type == 'x';
    // Tells more of members, but not what is asked here.
    const bool passed_over = header.type == 'g';
    if (!extension && !passed_over && pax.size) header.size = *pax.size;
    content_ = HasNoData(header.type) ? 0 : header.size;
    // Past it an offset would not fit the file system's type, nor any medium.
    constexpr uint64_t kMaxPosition = uint64_t{1} << 62;
    if (content_ > kMaxPosition - std::min(position_, kMaxPosition)) {
      return Damaged(
          absl::StrCat("a tar header of ", header.size, " bytes of data"));
    }
    padding_ = (kBlock - content_ % kBlock) % kBlock;
    if (extension) {
      absl::StatusOr<std::string> text = ReadExtension(header);
      if (!text.ok()) return text.status();
      if (header.type == 'x') {
        if (!ParsePax(*text, &pax)) {
          return Damaged("pax records of a wrong form");
        }
      } else {
        (header.type == 'L' ? long_name : long_target) =
            text->substr(0, text->find('\0'));
      }
      continue;
    }
    if (passed_over) continue;
    if (const std::optional<TarMember::Kind> kind = KindOf(header.type)) {
      TarMember member;
      member.kind = *kind;
      member.path = pax.path    ? *pax.path
                    : long_name ? *long_name
                                : std::move(header.path);
      if (!IsUsablePath(member.path)) return DamagedPath(member.path);
      if (*kind != TarMember::Kind::kFile) {
        member.target = pax.target    ? *pax.target
                        : long_target ? *long_target
                                      : std::move(header.target);
        if (!IsUsablePath(member.target)) return DamagedPath(member.target);
      }
      member.size = content_;
      member.offset = position_;
      return member;
    }
    long_name.reset();
    long_target.reset();
    pax = {};
  }
}

absl::Status TarReader::DamagedPath(const std::string& path) const {
  return Damaged(absl::StrCat("a path of ", path.size(),
                              " bytes, allowed are 1 to ", kMaxPath,
                              " without a zero,"));
}

absl::Status TarReader::ReadContent(std::string* content) {
  content->resize(content_);
  if (absl::Status s = ReadExactly(reinterpret_cast<uint8_t*>(content->data()),
                                   content->size());
      !s.ok()) {
    return s;
  }
  content_ = 0;
  return absl::OkStatus();
}

}  // namespace ddgan
