// The command line that makes images again.
#ifndef DDGAN_CLIENT_REPEAT_COMMAND_H_
#define DDGAN_CLIENT_REPEAT_COMMAND_H_

#include <cstdint>
#include <string>

#include "client/secure_channel.h"

namespace ddgan {

// Which images, from where, and into which files: the flags of `ddgan
// generate`.
struct RepeatedImages {
  std::string address;
  ConnectionSecurity security;
  std::string model;
  int64_t version = 0;
  uint64_t seed = 0;
  uint32_t count = 1;
  uint32_t first_index = 0;
  std::string guide_file;  // Empty: no guide.
  uint32_t guide_steps = 0;
  bool resize_guide = false;
  bool grid = false;
  std::string format;  // Not looked at with `grid`.
  std::string out;     // Empty: the program's default.
};

// "ddgan generate --server=... ", quoted for a POSIX shell. Pure.
std::string CommandToRepeat(const RepeatedImages& images);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_REPEAT_COMMAND_H_
