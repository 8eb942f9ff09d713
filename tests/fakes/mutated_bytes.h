// Random damage to a file's bytes, for tests of parsers.
#ifndef DDGAN_TESTS_FAKES_MUTATED_BYTES_H_
#define DDGAN_TESTS_FAKES_MUTATED_BYTES_H_

#include <algorithm>
#include <cstddef>
#include <random>
#include <string>

namespace ddgan {

// `bytes` with one to four changes, each within the first `reach` bytes: a bit
// flipped, a byte replaced, a piece removed, or a piece repeated. `bytes` and
// `reach` are not 0.
inline std::string MutatedBytes(std::string bytes, size_t reach,
                                std::mt19937* random) {
  const auto below = [&](size_t bound) {
    return std::uniform_int_distribution<size_t>(0, bound - 1)(*random);
  };
  const size_t changes = 1 + below(4);
  for (size_t change = 0; change < changes && !bytes.empty(); ++change) {
    const size_t at = below(std::min(reach, bytes.size()));
    const size_t length = 1 + below(16);
    switch (below(4)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(below(256));
        break;
      case 2:
        bytes.erase(at, length);
        break;
      case 3:
        bytes.insert(at, bytes.substr(at, length));
        break;
    }
  }
  return bytes;
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_FAKES_MUTATED_BYTES_H_
