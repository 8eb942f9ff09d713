// What fuzz targets do with an input and ask of a parser.
#ifndef DDGAN_TESTS_FUZZ_FUZZ_INPUT_H_
#define DDGAN_TESTS_FUZZ_FUZZ_INPUT_H_

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

namespace ddgan {

// Ends the process, which libFuzzer reports with the input.
inline void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "does not hold: %s\n", what);
  std::abort();
}

inline std::string_view InputText(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// An input as a series of choices. After its end every choice is the first one.
class InputReader {
 public:
  InputReader(const uint8_t* data, size_t size)
      : left_(InputText(data, size)) {}

  bool empty() const { return left_.empty(); }

  // Of the next `size` bytes, [1, 8].
  uint64_t Bits(size_t size) {
    uint64_t bits = 0;
    for (const char c : Bytes(size)) bits = bits << 8 | static_cast<uint8_t>(c);
    return bits;
  }
  // In [low, high], which has at most 256 numbers: of the next byte.
  int Between(int low, int high) {
    return low + static_cast<int>(Bits(1)) % (high - low + 1);
  }
  bool OneIn(int n) { return Between(1, n) == n; }
  // The next `size` bytes, or what is left of them.
  std::string_view Bytes(size_t size) {
    const std::string_view bytes =
        left_.substr(0, std::min(size, left_.size()));
    left_.remove_prefix(bytes.size());
    return bytes;
  }
  // Up to the next `end`, which is passed over, or all.
  std::string_view Until(char end) {
    const std::string_view bytes = left_.substr(0, left_.find(end));
    left_.remove_prefix(std::min(bytes.size() + 1, left_.size()));
    return bytes;
  }
  std::string_view Rest() { return Bytes(left_.size()); }

 private:
  std::string_view left_;
};

// The input as a file, the same one for each input of the process; in memory,
// since a disk would take longer over it than the parser.
inline std::filesystem::path InputFile(std::string_view bytes) {
  static const int file = memfd_create("fuzz_input", MFD_CLOEXEC);
  Require(file >= 0 && ftruncate(file, 0) == 0 &&
              pwrite(file, bytes.data(), bytes.size(), 0) ==
                  static_cast<ssize_t>(bytes.size()),
          "a written file");
  return "/proc/self/fd/" + std::to_string(file);
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_FUZZ_FUZZ_INPUT_H_
