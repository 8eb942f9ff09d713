// `ddgan generate`: images from the server into files.
#ifndef DDGAN_CLIENT_COMMAND_LINE_GENERATE_COMMAND_H_
#define DDGAN_CLIENT_COMMAND_LINE_GENERATE_COMMAND_H_

#include <cstdio>
#include <ostream>

#include "client/command_line/command_line.h"

namespace ddgan {

// Reads the guide if there is one, calls the server, writes the files, and
// prints to `out` what was made and the command that makes it again; to `err`
// what went wrong. With --out=- `out` gets the image, and `err` the rest. While
// it waits, it draws its progress on `terminal` unless
// that is nullptr. Returns the exit code: 0, or 1 after an error. Files of
// images that had arrived by then stay.
int RunGenerate(const GenerateCommand& command, std::ostream& out,
                std::ostream& err, std::FILE* terminal);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_GENERATE_COMMAND_H_
