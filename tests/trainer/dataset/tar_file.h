// Writes tar archives by hand, sound and broken ones, for tests.
#ifndef DDGAN_TESTS_TRAINER_DATASET_TAR_FILE_H_
#define DDGAN_TESTS_TRAINER_DATASET_TAR_FILE_H_

#include <cstdint>
#include <cstdio>
#include <string>

namespace ddgan {

// Puts the sum of its bytes into a header.
inline std::string WithChecksum(std::string header) {
  header.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<uint8_t>(c);
  char text[8];
  std::snprintf(text, sizeof(text), "%06o", sum);
  return header.replace(148, 8, std::string(text, 7) + " ");
}

// A ustar header. `name` has at most 100 bytes, `prefix` at most 155.
inline std::string TarHeader(const std::string& name, uint64_t size,
                             char type = '0', const std::string& prefix = "") {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  char text[13];
  std::snprintf(text, sizeof(text), "%011llo",
                static_cast<unsigned long long>(size));  // NOLINT: printf's.
  header.replace(124, 11, text);
  header[156] = type;
  header.replace(257, 8,
                 std::string("ustar\0"
                             "00",
                             8));
  header.replace(345, prefix.size(), prefix);
  return WithChecksum(header);
}

inline std::string Padded(std::string bytes) {
  bytes.resize((bytes.size() + 511) / 512 * 512);
  return bytes;
}

inline std::string TarFile(const std::string& name, const std::string& content,
                           char type = '0') {
  return TarHeader(name, content.size(), type) + Padded(content);
}

// `type`: '1' hard, '2' symbolic. `target` has at most 100 bytes.
inline std::string TarLink(const std::string& name, const std::string& target,
                           char type) {
  std::string header = TarHeader(name, 0, type);
  header.replace(157, target.size(), target);
  return WithChecksum(header);
}

// GNU's long name for the member after it.
inline std::string LongName(const std::string& name) {
  return TarFile("././@LongLink", name + std::string(1, '\0'), 'L');
}

// "<length> <key>=<value>\n"
inline std::string PaxRecord(const std::string& key, const std::string& value) {
  const std::string rest = " " + key + "=" + value + "\n";
  std::string length = std::to_string(rest.size());
  while (std::to_string(length.size() + rest.size()) != length) {
    length = std::to_string(length.size() + rest.size());
  }
  return length + rest;
}

inline std::string TarEnd() { return std::string(1024, '\0'); }

}  // namespace ddgan

#endif  // DDGAN_TESTS_TRAINER_DATASET_TAR_FILE_H_
