// `ddgan playground`: a page for the browser.
#ifndef DDGAN_CLIENT_COMMAND_LINE_PLAYGROUND_COMMAND_H_
#define DDGAN_CLIENT_COMMAND_LINE_PLAYGROUND_COMMAND_H_

#include <ostream>

#include "client/command_line/command_line.h"

namespace ddgan {

// Serves the page until SIGINT or SIGTERM; prints its address to `out`, errors
// to `err`. Returns the exit code: 0, or 1 if it cannot be served. Called on
// the main thread before there are others: those two signals are blocked in
// every thread from then on.
int RunPlayground(const PlaygroundCommand& command, std::ostream& out,
                  std::ostream& err);

}  // namespace ddgan

#endif  // DDGAN_CLIENT_COMMAND_LINE_PLAYGROUND_COMMAND_H_
