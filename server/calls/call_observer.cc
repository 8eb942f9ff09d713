#include "server/calls/call_observer.h"

namespace ddgan {

const char* NameOf(RpcMethod method) {
  switch (method) {
    case RpcMethod::kGenerate:
      return "Generate";
    case RpcMethod::kGenerateStream:
      return "GenerateStream";
  }
  return "unknown";
}

}  // namespace ddgan
