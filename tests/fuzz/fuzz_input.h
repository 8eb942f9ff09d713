// What fuzz targets do with an input and ask of a parser.
#ifndef DDGAN_TESTS_FUZZ_FUZZ_INPUT_H_
#define DDGAN_TESTS_FUZZ_FUZZ_INPUT_H_

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
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

// The input as a file, the same one for each input of the process.
inline std::filesystem::path InputFile(std::string_view bytes) {
  namespace fs = std::filesystem;
  static const fs::path* const path = [] {
    std::atexit([] { fs::remove(*path); });
    return new fs::path(fs::temp_directory_path() /
                        ("fuzz_input_" + std::to_string(getpid())));
  }();
  std::ofstream file(*path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  Require(file.good(), "a written file");
  return *path;
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_FUZZ_FUZZ_INPUT_H_
