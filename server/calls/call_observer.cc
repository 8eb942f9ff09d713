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

const char* ServiceOf(RpcMethod method) {
  switch (method) {
    case RpcMethod::kGenerate:
    case RpcMethod::kGenerateStream:
      return "ddgan.v1.ImageGeneration";
    case RpcMethod::kModelInfer:
      return "inference.GRPCInferenceService";
  }
  return "unknown";
}

}  // namespace ddgan
