// Reflection, by which grpcurl, grpcui and others ask a server for its
// interface: grpc.reflection.v1, which new tools ask for first, and v1alpha,
// which is the same under its old name.
#ifndef DDGAN_SERVER_REFLECTION_SERVICE_H_
#define DDGAN_SERVER_REFLECTION_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include <string>
#include <vector>

#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "server/connections/request_gate.h"

namespace ddgan {

// What both versions answer from. Each request of a stream passes `gate` on its
// own; a stream that asks nothing for the gate's timeout ends with OK.
struct ReflectionSource {
  // Full names, as listed.
  std::vector<std::string> services;
  // Must outlive the server.
  RequestGate* gate = nullptr;
};

// Thread-safe.
class ReflectionV1Service final
    : public grpc::reflection::v1::ServerReflection::CallbackService {
 public:
  // `source` must outlive the server.
  explicit ReflectionV1Service(const ReflectionSource* source)
      : source_(source) {}

  grpc::ServerBidiReactor<grpc::reflection::v1::ServerReflectionRequest,
                          grpc::reflection::v1::ServerReflectionResponse>*
  ServerReflectionInfo(grpc::CallbackServerContext* context) override;

 private:
  const ReflectionSource* const source_;
};

// The same.
class ReflectionV1AlphaService final
    : public grpc::reflection::v1alpha::ServerReflection::CallbackService {
 public:
  explicit ReflectionV1AlphaService(const ReflectionSource* source)
      : source_(source) {}

  grpc::ServerBidiReactor<grpc::reflection::v1alpha::ServerReflectionRequest,
                          grpc::reflection::v1alpha::ServerReflectionResponse>*
  ServerReflectionInfo(grpc::CallbackServerContext* context) override;

 private:
  const ReflectionSource* const source_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_REFLECTION_SERVICE_H_
