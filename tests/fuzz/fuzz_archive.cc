// Archives of a set: tar, gzip, xz, bzip2, Zstandard and zip.
#include "tests/fuzz/fuzz_input.h"
#include "trainer/dataset/encoded/image_archive.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint64_t kMemory = 1 << 20;
  ddgan::MemoryBudget budget(kMemory);
  ddgan::SetReport report;
  const auto opened =
      ddgan::OpenImageArchive(ddgan::InputFile(ddgan::InputText(data, size)),
                              {&budget, &report, nullptr});
  for (const std::string& line : report.PassedOver()) {
    ddgan::Require(line.find('\n') == std::string::npos, "lines are lines");
  }
  if (!opened.ok()) return 0;
  ddgan::Require(budget.taken() <= kMemory, "the budget is kept");
  std::string scratch;
  for (const ddgan::ImageArchive::Image& image : opened->images) {
    if (image.size > kMemory) continue;
    const auto bytes = opened->archive->Read(image, &scratch);
    ddgan::Require(!bytes.ok() || bytes->size() == image.size,
                   "an image has the size that was announced");
  }
  return 0;
}
