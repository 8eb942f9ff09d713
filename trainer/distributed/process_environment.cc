#include "trainer/distributed/process_environment.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace ddgan {
namespace {

constexpr int kMaxProcesses = 4096;
constexpr int kMaxPort = 65535;
// RFC 1035 allows no longer name.
constexpr size_t kMaxAddress = 253;

std::optional<std::string> ReadSet(EnvironmentReader read, const char* name) {
  std::optional<std::string> value = read(name);
  if (value.has_value() && value->empty()) return std::nullopt;
  return value;
}

// Values come from outside: shortened and escaped before they enter a message.
std::string Shown(const std::string& value) {
  return absl::StrCat("\"", absl::CHexEscape(value.substr(0, 64)),
                      value.size() > 64 ? "..." : "", "\"");
}

absl::Status ParseNumber(const char* name, const std::string& value, int min,
                         int max, int* number) {
  int parsed;
  if (!absl::SimpleAtoi(value, &parsed) || parsed < min || parsed > max) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, "=", Shown(value), ": must be a whole number in [",
                     min, ", ", max, "]"));
  }
  *number = parsed;
  return absl::OkStatus();
}

absl::Status ReadMaster(EnvironmentReader read, ProcessEnvironment* result) {
  const std::optional<std::string> address = ReadSet(read, "MASTER_ADDR");
  const std::optional<std::string> port = ReadSet(read, "MASTER_PORT");
  if (address.has_value()) {
    const auto allowed = [](char c) {
      return absl::ascii_isalnum(c) || c == '.' || c == '-' || c == ':' ||
             c == '_' || c == '%';
    };
    if (address->size() > kMaxAddress ||
        !std::all_of(address->begin(), address->end(), allowed)) {
      return absl::InvalidArgumentError(
          absl::StrCat("MASTER_ADDR=", Shown(*address),
                       ": must be a host name or an IP address of at most ",
                       kMaxAddress, " characters"));
    }
    result->master_address = *address;
  }
  if (port.has_value()) {
    absl::Status parsed =
        ParseNumber("MASTER_PORT", *port, 1, kMaxPort, &result->master_port);
    if (!parsed.ok()) return parsed;
  }
  if (result->size == 1) return absl::OkStatus();
  for (const auto& [name, set] : {std::pair("MASTER_ADDR", address.has_value()),
                                  std::pair("MASTER_PORT", port.has_value())}) {
    if (set) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        name, " is not set: ", result->size, " processes need MASTER_ADDR, ",
        "the host name or IP address of the machine of rank 0, and "
        "MASTER_PORT, a free TCP port there in [1, ",
        kMaxPort, "]"));
  }
  return absl::OkStatus();
}

// Of torchrun, which listens at the master's port for as long as it lives.
std::optional<std::string> LauncherStorePrefix(EnvironmentReader read) {
  if (ReadSet(read, "TORCHELASTIC_USE_AGENT_STORE") != "True")
    return std::nullopt;
  return absl::StrCat("ddgan/",
                      ReadSet(read, "TORCHELASTIC_RUN_ID").value_or(""), "/",
                      ReadSet(read, "TORCHELASTIC_RESTART_COUNT").value_or(""));
}

// One process, if nothing says that there should be more.
absl::StatusOr<ProcessEnvironment> ReadLoneProcess(EnvironmentReader read) {
  for (const char* name :
       {"WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}) {
    const std::optional<std::string> value = ReadSet(read, name);
    if (!value.has_value()) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "RANK is not set, but ", name, "=", Shown(*value),
        " is: with several processes each needs RANK, its own number in [0, "
        "WORLD_SIZE - 1]; for a single process unset ",
        name));
  }
  return ProcessEnvironment();
}

}  // namespace

absl::StatusOr<ProcessEnvironment> ReadProcessEnvironment(
    EnvironmentReader read) {
  const char* rank_name = "RANK";
  const char* size_name = "WORLD_SIZE";
  const char* local_rank_name = "LOCAL_RANK";
  std::optional<std::string> rank = ReadSet(read, rank_name);
  if (!rank.has_value()) {
    rank_name = "JOB_COMPLETION_INDEX";
    rank = ReadSet(read, rank_name);
  }
  // A batch script itself has SLURM_NTASKS and is SLURM_PROCID 0; only what
  // srun starts has a step. WORLD_SIZE without RANK is a mistake under Slurm
  // too.
  if (!rank.has_value() && !ReadSet(read, size_name).has_value() &&
      ReadSet(read, "SLURM_STEP_NUM_TASKS").has_value()) {
    rank_name = "SLURM_PROCID";
    rank = ReadSet(read, rank_name);
    size_name = "SLURM_STEP_NUM_TASKS";
    local_rank_name = "SLURM_LOCALID";
  }
  if (!rank.has_value()) return ReadLoneProcess(read);

  const std::optional<std::string> size = ReadSet(read, size_name);
  if (!size.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        size_name, " is not set, but ", rank_name, "=", Shown(*rank),
        " is: set it to the number of processes, in [1, ", kMaxProcesses, "]"));
  }
  ProcessEnvironment result;
  absl::Status parsed =
      ParseNumber(size_name, *size, 1, kMaxProcesses, &result.size);
  if (!parsed.ok()) return parsed;
  parsed = ParseNumber(rank_name, *rank, 0, result.size - 1, &result.rank);
  if (!parsed.ok()) return parsed;
  const std::optional<std::string> local_rank = ReadSet(read, local_rank_name);
  if (local_rank.has_value()) {
    parsed = ParseNumber(local_rank_name, *local_rank, 0, result.size - 1,
                         &result.local_rank);
    if (!parsed.ok()) return parsed;
  }
  parsed = ReadMaster(read, &result);
  if (!parsed.ok()) return parsed;
  result.launcher_store_prefix = LauncherStorePrefix(read);
  return result;
}

std::optional<std::string> ReadEnvironmentVariable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  return value;
}

}  // namespace ddgan
