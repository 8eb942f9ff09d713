// What every program does about signals, first of all in main.
#ifndef DDGAN_ENGINE_BASE_PROCESS_SIGNALS_H_
#define DDGAN_ENGINE_BASE_PROCESS_SIGNALS_H_

namespace ddgan {

// From now on, whoever writes to a pipe or a connection whose reader is gone
// gets an error (EPIPE). Otherwise SIGPIPE ends the process there and then,
// with nothing saved: `ddgan-train | head` would.
void IgnoreBrokenPipes();

// Whether the process ignores `signal`, as one does that nohup has started with
// SIGHUP. Such a wish is not for the program to overrule.
bool IsIgnored(int signal);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_PROCESS_SIGNALS_H_
