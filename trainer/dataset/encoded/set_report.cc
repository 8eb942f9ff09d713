#include "trainer/dataset/encoded/set_report.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace ddgan {
namespace {

constexpr size_t kMaxEndings = 12;
constexpr size_t kMaxEndingBytes = 8;

constexpr const char* kRead[] = {".png", ".jpg",  ".jpeg",
                                 ".jpe", ".jfif", ".webp"};
constexpr const char* kNotRead[] = {
    ".bmp",  ".gif", ".tif", ".tiff", ".heic", ".heif", ".avif",
    ".jxl",  ".jp2", ".ppm", ".pgm",  ".pnm",  ".tga",  ".svg",
    ".apng", ".dng", ".cr2", ".nef",  ".arw",  ".psd",  ".exr"};
constexpr const char* kArchives[] = {".tar",  ".tar.gz",  ".tgz",  ".tar.xz",
                                     ".txz",  ".tar.bz2", ".tbz2", ".tar.zst",
                                     ".tzst", ".zip"};

template <size_t N>
bool Holds(const char* const (&endings)[N], const std::string& ending) {
  return std::any_of(std::begin(endings), std::end(endings),
                     [&](const char* one) { return ending == one; });
}

// "1 link that leads ...", "12 links that lead ...".
std::string Sentence(SetReport::Reason reason, int64_t count) {
  using Reason = SetReport::Reason;
  const auto of = [count](const char* one, const char* several) {
    return absl::StrCat(count, " ", count == 1 ? one : several);
  };
  switch (reason) {
    case Reason::kOtherPicture:
      return of("picture of a format that is not read (convert it to PNG)",
                "pictures of formats that are not read (convert them to PNG)");
    case Reason::kOtherFile:
      return of("file that is no picture by its name",
                "files that are no pictures by their names");
    case Reason::kArchive:
      return of("archive among pictures", "archives among pictures");
    case Reason::kLinkOutside:
      return of(
          "link that leads further than links are followed, which is within "
          "the third folder above the set",
          "links that lead further than links are followed, which is within "
          "the third folder above the set");
    case Reason::kLinkBroken:
      return of("link that leads nowhere", "links that lead nowhere");
    case Reason::kLinkToKnown:
      return of("link to a folder that is read already",
                "links to folders that are read already");
    case Reason::kLinkInArchive:
      return of(
          "link in an archive to no file there, or to one that is not kept",
          "links in archives to no files there, or to ones that are not kept");
    case Reason::kUnreadableFolder:
      return of("folder that may not be read", "folders that may not be read");
    case Reason::kSpecialFile:
      return of("pipe or device of a picture's name",
                "pipes or devices of pictures' names");
    case Reason::kOtherClass:
      return of("picture of another class", "pictures of other classes");
  }
  return "";
}

}  // namespace

void SetReport::CountEnding(std::string_view path, Endings* endings) {
  const std::string ending = EndingOf(path);
  const auto found = endings->find(ending);
  if (found != endings->end()) {
    ++found->second;
  } else if (endings->size() < kMaxEndings) {
    endings->emplace(ending, 1);
  } else {
    ++(*endings)["others"];
  }
}

std::string SetReport::List(const Endings& endings) {
  std::vector<std::pair<std::string, int64_t>> sorted(endings.begin(),
                                                      endings.end());
  std::stable_sort(
      sorted.begin(), sorted.end(),
      [](const auto& a, const auto& b) { return a.second > b.second; });
  return absl::StrJoin(sorted, ", ", [](std::string* out, const auto& entry) {
    absl::StrAppend(out, entry.second, " ",
                    entry.first.empty() ? "without an ending" : entry.first);
  });
}

void SetReport::Count(std::string_view path) {
  ++pictures_;
  CountEnding(path, &picture_endings_);
}

void SetReport::PassOver(Reason reason, std::string_view path) {
  Passed& passed = Of(reason);
  if (++passed.count == 1) {
    passed.first = absl::Utf8SafeCEscape(
        absl::string_view(path.data(), std::min(path.size(), size_t{200})));
  }
  if (reason == Reason::kOtherPicture || reason == Reason::kOtherFile) {
    CountEnding(path, &passed.endings);
  }
}

std::string SetReport::Found() const {
  return absl::StrCat(pictures_, pictures_ == 1 ? " picture" : " pictures",
                      pictures_ == 0 ? "" : ": ", List(picture_endings_));
}

std::vector<std::string> SetReport::PassedOver() const {
  std::vector<std::string> lines;
  for (size_t i = 0; i < passed_.size(); ++i) {
    const Passed& passed = passed_[i];
    if (passed.count == 0) continue;
    std::string line = absl::StrCat(
        "passed over ", Sentence(static_cast<Reason>(i), passed.count));
    if (!passed.endings.empty()) {
      absl::StrAppend(&line, ": ", List(passed.endings));
    }
    absl::StrAppend(&line, "; the first is ", passed.first);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string EndingOf(std::string_view path) {
  path.remove_prefix(path.rfind('/') + 1);  // npos + 1 is 0.
  const size_t dot = path.rfind('.');
  if (dot == std::string_view::npos || path.size() - dot > kMaxEndingBytes) {
    return "";
  }
  const std::string_view ending = path.substr(dot);
  return absl::Utf8SafeCEscape(
      absl::AsciiStrToLower(absl::string_view(ending.data(), ending.size())));
}

bool IsHidden(std::string_view path) {
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.starts_with('.') && part != "." && part != "..") return true;
    begin = end + 1;
  }
  return false;
}

bool IsImagePath(std::string_view path) {
  return Holds(kRead, EndingOf(path)) && !IsHidden(path);
}

std::string PictureEndings() { return absl::StrJoin(kRead, ", "); }

bool IsArchivePath(std::string_view path) {
  const std::string lower =
      absl::AsciiStrToLower(absl::string_view(path.data(), path.size()));
  return !IsHidden(path) &&
         std::any_of(std::begin(kArchives), std::end(kArchives),
                     [&](std::string_view ending) {
                       return lower.ends_with(ending) &&
                              lower.size() > ending.size();
                     });
}

void PassOverFile(std::string_view path, SetReport* report) {
  if (IsHidden(path)) return;
  report->PassOver(Holds(kNotRead, EndingOf(path))
                       ? SetReport::Reason::kOtherPicture
                       : SetReport::Reason::kOtherFile,
                   path);
}

}  // namespace ddgan
