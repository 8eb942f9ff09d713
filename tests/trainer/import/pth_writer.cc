#include "tests/trainer/import/pth_writer.h"

#include <zip.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace ddgan {
namespace {

std::string LittleEndian(uint64_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i)
    text.push_back(static_cast<char>(value >> (8 * i)));
  return text;
}

[[noreturn]] void Fail(const std::filesystem::path& path) {
  std::fprintf(stderr, "cannot write %s\n", path.c_str());
  std::abort();
}

}  // namespace

PickleWriter& PickleWriter::Raw(const std::string& bytes) {
  bytes_ += bytes;
  return *this;
}

PickleWriter& PickleWriter::Global(const std::string& module,
                                   const std::string& name) {
  return Raw("c" + module + "\n" + name + "\n");
}

PickleWriter& PickleWriter::String(const std::string& text) {
  return Raw("X" + LittleEndian(text.size(), 4) + text);
}

PickleWriter& PickleWriter::Int(int64_t value) {
  return Raw("\x8a\x08" + LittleEndian(static_cast<uint64_t>(value), 8));
}

PickleWriter& PickleWriter::IntTuple(const std::vector<int64_t>& values) {
  Raw("(");
  for (int64_t value : values) Int(value);
  return Raw("t");
}

PickleWriter& PickleWriter::EmptyOrderedDict() {
  return Global("collections", "OrderedDict").Raw(")R");
}

PickleWriter& PickleWriter::Storage(const std::string& type,
                                    const std::string& key, int64_t num_values,
                                    const std::string& device) {
  return Raw("(")
      .String("storage")
      .Global("torch", type)
      .String(key)
      .String(device)
      .Int(num_values)
      .Raw("tQ");
}

PickleWriter& PickleWriter::Tensor(const std::string& key, int64_t num_values,
                                   int64_t offset,
                                   const std::vector<int64_t>& shape,
                                   const std::vector<int64_t>& strides,
                                   const std::string& type) {
  return Global("torch._utils", "_rebuild_tensor_v2")
      .Raw("(")
      .Storage(type, key, num_values)
      .Int(offset)
      .IntTuple(shape)
      .IntTuple(strides)
      .Raw("\x89")
      .EmptyOrderedDict()
      .Raw("tR");
}

std::string FloatBytes(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

void WriteZip(const std::filesystem::path& path,
              const std::map<std::string, std::string>& entries,
              bool compress) {
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  if (archive == nullptr) Fail(path);
  for (const auto& [name, bytes] : entries) {
    zip_source_t* source =
        zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    const zip_int64_t index =
        zip_file_add(archive, name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0 ||
        zip_set_file_compression(
            archive, index, compress ? ZIP_CM_DEFLATE : ZIP_CM_STORE, 0) != 0)
      Fail(path);
  }
  if (zip_close(archive) != 0) Fail(path);
}

}  // namespace ddgan
