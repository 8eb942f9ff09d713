#include "server/calls/call_observer.h"

namespace ddgan {

const char* NameOf(RpcMethod method) {
  switch (method) {
    case RpcMethod::kGenerate:
      return "Generate";
    case RpcMethod::kGenerateStream:
      return "GenerateStream";
    case RpcMethod::kModelInfer:
      return "ModelInfer";
  }
  return "unknown";
}

}  // namespace ddgan
