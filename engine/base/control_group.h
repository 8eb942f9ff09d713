// The limits that the system has set to the process's control group (version 2)
// and to those around it, as containers and systemd do.
#ifndef DDGAN_ENGINE_BASE_CONTROL_GROUP_H_
#define DDGAN_ENGINE_BASE_CONTROL_GROUP_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace ddgan {

// Where the group and those around it have their files, innermost first, by the
// text of /proc/self/cgroup. In a container the group is the root of what the
// process sees, and so it is where the text names none of version 2.
std::vector<std::string> ControlGroupFolders(
    absl::string_view proc_self_cgroup);

// What the system's file holds; empty if it cannot be read.
std::string ControlFileText(const std::string& path);

// What `file`, such as "memory.max", holds in each of these folders; a group
// that has no such file sets no such limit and is left out.
std::vector<std::string> ReadControlGroups(absl::string_view file);

}  // namespace ddgan

#endif  // DDGAN_ENGINE_BASE_CONTROL_GROUP_H_
