// Writes pickles and torch.save archives byte by byte, also such as torch would
// never write.
#ifndef DDGAN_TESTS_TRAINER_IMPORT_PTH_WRITER_H_
#define DDGAN_TESTS_TRAINER_IMPORT_PTH_WRITER_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace ddgan {

// Appends opcodes of protocol 2. Methods return *this, so that a pickle reads
// as a sentence.
class PickleWriter {
 public:
  PickleWriter& Raw(const std::string& bytes);
  PickleWriter& Start() { return Raw("\x80\x02"); }
  PickleWriter& Stop() { return Raw("."); }
  PickleWriter& Global(const std::string& module, const std::string& name);
  PickleWriter& String(const std::string& text);
  PickleWriter& Int(int64_t value);
  PickleWriter& IntTuple(const std::vector<int64_t>& values);
  // collections.OrderedDict()
  PickleWriter& EmptyOrderedDict();
  // A persistent id; `type` as in "FloatStorage".
  PickleWriter& Storage(const std::string& type, const std::string& key,
                        int64_t num_values, const std::string& device = "cpu");
  // A tensor in storage `key`, of this type.
  PickleWriter& Tensor(const std::string& key, int64_t num_values,
                       int64_t offset, const std::vector<int64_t>& shape,
                       const std::vector<int64_t>& strides,
                       const std::string& type = "FloatStorage");
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Little-endian float32.
std::string FloatBytes(const std::vector<float>& values);

// A zip archive of these entries, stored unless `compress`.
void WriteZip(const std::filesystem::path& path,
              const std::map<std::string, std::string>& entries,
              bool compress = false);

}  // namespace ddgan

#endif  // DDGAN_TESTS_TRAINER_IMPORT_PTH_WRITER_H_
