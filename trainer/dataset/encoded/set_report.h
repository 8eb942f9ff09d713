// What a set of pictures was found to hold, and what of it is left out, for a
// person to read. No LibTorch.
#ifndef DDGAN_TRAINER_DATASET_ENCODED_SET_REPORT_H_
#define DDGAN_TRAINER_DATASET_ENCODED_SET_REPORT_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ddgan {

// Thread-compatible. Counts, and one example of each reason: small, whatever
// the set holds.
class SetReport {
 public:
  // Why something is left out.
  enum class Reason {
    kOtherPicture,      // By its ending, of a format that is not read.
    kOtherFile,         // By its ending, no picture.
    kArchive,           // An archive that lies among pictures.
    kLinkOutside,       // Leads further than links are followed.
    kLinkBroken,        // Leads nowhere, or in a circle.
    kLinkToKnown,       // Leads to a folder that is read already.
    kLinkInArchive,     // Leads to no file of the archive, or to one that is
                        // not kept.
    kUnreadableFolder,  // The system forbids to look.
    kSpecialFile,       // A pipe or a device of a picture's name.
    kOtherClass,        // A picture of a class that was not asked for.
    kLast = kOtherClass,
  };

  // A picture, or something passed over; `path` is below the set.
  void Count(std::string_view path);
  void PassOver(Reason reason, std::string_view path);

  // One line of what was found: "40 pictures: 38 .jpg, 2 .png".
  std::string Found() const;
  // One line for each reason for which something was passed over, with how
  // many and the first of them: free of control characters.
  std::vector<std::string> PassedOver() const;

 private:
  // Files by ending, of which there may be as many as files: only the first so
  // many are told apart.
  using Endings = std::map<std::string, int64_t>;
  static void CountEnding(std::string_view path, Endings* endings);
  static std::string List(const Endings& endings);

  struct Passed {
    int64_t count = 0;
    std::string first;
    Endings endings;
  };
  Passed& Of(Reason reason) { return passed_[static_cast<size_t>(reason)]; }

  int64_t pictures_ = 0;
  Endings picture_endings_;
  std::array<Passed, static_cast<size_t>(Reason::kLast) + 1> passed_;
};

// The part of `path` from its last dot on, in small letters; empty if there is
// none or it is longer than 8 bytes.
std::string EndingOf(std::string_view path);

// Whether a part of this path begins with a dot, as hidden files do and those
// that macOS adds to archives. "." and ".." do not count.
bool IsHidden(std::string_view path);
// Whether a file of this relative path belongs to the set: its ending is one of
// PictureEndings(), and it is not hidden.
bool IsImagePath(std::string_view path);
// ".png, .jpg, ..." of pictures that are read, for a message.
std::string PictureEndings();
// Whether a file of this name is an archive that is read as a folder.
bool IsArchivePath(std::string_view path);

// Counts a file that is none of these by its ending; hidden ones are not
// counted.
void PassOverFile(std::string_view path, SetReport* report);

}  // namespace ddgan

#endif  // DDGAN_TRAINER_DATASET_ENCODED_SET_REPORT_H_
