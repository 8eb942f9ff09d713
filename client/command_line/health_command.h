// `ddgan health`: is the server ready?
#ifndef DDGAN_CLIENT_COMMAND_LINE_HEALTH_COMMAND_H_
#define DDGAN_CLIENT_COMMAND_LINE_HEALTH_COMMAND_H_

#include <ostream>

#include "client/command_line/command_line.h"

namespace ddgan {

// Prints the status to `out`, as JSON also that there is none, and errors to
// `err`. Returns the exit code: 0 if the
// service is SERVING, else 1. Asks once: a probe wants to know about now.
int RunHealth(const HealthCommand& command, std::ostream& out,
              std::ostream& err);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_HEALTH_COMMAND_H_
