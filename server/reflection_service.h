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
#include "server/connections/write_watch.h"

namespace ddgan {

// What both versions answer from. Each request of a stream passes `gate` on its
// own; a stream that asks nothing for the gate's timeout ends with OK. A
// request of more than 4 KiB ends its stream with ResourceExhausted before it
// is parsed, and answers that are not read end it as `writes` say.
struct ReflectionSource {
  // Full names, as listed.
  std::vector<std::string> services;
  // Both must outlive the server.
  RequestGate* gate = nullptr;
  const WriteWatch::Parts* writes = nullptr;
};

// Thread-safe.
class ReflectionV1Service final
    : public grpc::reflection::v1::ServerReflection::
          WithRawCallbackMethod_ServerReflectionInfo<
              grpc::reflection::v1::ServerReflection::Service> {
 public:
  // `source` must outlive the server.
  explicit ReflectionV1Service(const ReflectionSource* source)
      : source_(source) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*
  ServerReflectionInfo(grpc::CallbackServerContext* context) override;

 private:
  const ReflectionSource* const source_;
};

// The same.
class ReflectionV1AlphaService final
    : public grpc::reflection::v1alpha::ServerReflection::
          WithRawCallbackMethod_ServerReflectionInfo<
              grpc::reflection::v1alpha::ServerReflection::Service> {
 public:
  explicit ReflectionV1AlphaService(const ReflectionSource* source)
      : source_(source) {}

  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*
  ServerReflectionInfo(grpc::CallbackServerContext* context) override;

 private:
  const ReflectionSource* const source_;
};

}  // namespace ddgan

#endif  // DDGAN_SERVER_REFLECTION_SERVICE_H_
