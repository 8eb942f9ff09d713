#include "server/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <cstddef>
#include <memory>
#include <set>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "server/connections/peer_address.h"

namespace ddgan {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using google::protobuf::FileDescriptorProto;

// A request is the name of a file, a symbol or a type.
constexpr size_t kMaxReflectionRequestBytes = 4 << 10;

// Messages have no extensions in proto3, but the messages that describe
// messages do.
const FileDescriptor* FileOfExtension(const std::string& type, int number) {
  const auto* const pool = DescriptorPool::generated_pool();
  const auto* const message = pool->FindMessageTypeByName(type);
  if (message == nullptr) return nullptr;
  const FieldDescriptor* const field =
      pool->FindExtensionByNumber(message, number);
  return field == nullptr ? nullptr : field->file();
}

// `file` and all that it imports, each once.
template <class Response>
void FillFile(const FileDescriptor* file, std::set<const FileDescriptor*>* seen,
              Response* response) {
  if (!seen->insert(file).second) return;
  FileDescriptorProto proto;
  file->CopyTo(&proto);
  *response->mutable_file_descriptor_response()->add_file_descriptor_proto() =
      proto.SerializeAsString();
  for (int i = 0; i < file->dependency_count(); ++i) {
    FillFile(file->dependency(i), seen, response);
  }
}

template <class Response>
void FillNotFound(const std::string& what, Response* response) {
  auto* const error = response->mutable_error_response();
  error->set_error_code(static_cast<int>(grpc::StatusCode::NOT_FOUND));
  error->set_error_message(absl::StrCat(what, " is not known here"));
}

template <class Request, class Response>
void Answer(const ReflectionSource& source, const Request& request,
            Response* response) {
  const DescriptorPool* const pool = DescriptorPool::generated_pool();
  response->set_valid_host(request.host());
  *response->mutable_original_request() = request;
  const FileDescriptor* file = nullptr;
  switch (request.message_request_case()) {
    case Request::kListServices:
      for (const std::string& name : source.services) {
        response->mutable_list_services_response()->add_service()->set_name(
            name);
      }
      return;
    case Request::kFileByFilename:
      file = pool->FindFileByName(request.file_by_filename());
      break;
    case Request::kFileContainingSymbol:
      file = pool->FindFileContainingSymbol(request.file_containing_symbol());
      break;
    case Request::kFileContainingExtension:
      file = FileOfExtension(
          request.file_containing_extension().containing_type(),
          request.file_containing_extension().extension_number());
      break;
    case Request::kAllExtensionNumbersOfType: {
      const std::string& type = request.all_extension_numbers_of_type();
      const auto* const message = pool->FindMessageTypeByName(type);
      if (message == nullptr) {
        FillNotFound("the type", response);
        return;
      }
      std::vector<const FieldDescriptor*> extensions;
      pool->FindAllExtensions(message, &extensions);
      auto* const numbers = response->mutable_all_extension_numbers_response();
      numbers->set_base_type_name(type);
      for (const FieldDescriptor* extension : extensions) {
        numbers->add_extension_number(extension->number());
      }
      return;
    }
    case Request::MESSAGE_REQUEST_NOT_SET:
      response->mutable_error_response()->set_error_code(
          static_cast<int>(grpc::StatusCode::INVALID_ARGUMENT));
      response->mutable_error_response()->set_error_message(
          "message_request: unset");
      return;
  }
  if (file == nullptr) {
    FillNotFound("what was asked for", response);
    return;
  }
  std::set<const FileDescriptor*> seen;
  FillFile(file, &seen, response);
}

// Reads one request, writes its answer, and so on. The gate and gRPC hold it.
// gRPC hands it bytes, so that it can refuse a request before it is parsed.
template <class In, class Out>
class ReflectionReactor final
    : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
      public RequestGate::Request,
      public std::enable_shared_from_this<ReflectionReactor<In, Out>> {
 public:
  static ReflectionReactor* Start(const ReflectionSource* source,
                                  grpc::CallbackServerContext* context) {
    const auto reactor = std::make_shared<ReflectionReactor>(source, context);
    reactor->held_for_grpc_ = reactor;
    source->gate->Enter(reactor->group_, reactor);
    return reactor.get();
  }

  ReflectionReactor(const ReflectionSource* source,
                    grpc::CallbackServerContext* context)
      : source_(source),
        group_(PeerGroup(EndpointOf(context->peer()).host)),
        writes_(*source->writes, context) {}

  void Receive() override ABSL_LOCKS_EXCLUDED(mu_) {
    // Held, or GiveUp could end the call before it reads.
    absl::MutexLock lock(&mu_);
    state_ = State::kReading;
    StartRead(&request_);
  }

  void Refuse(const absl::Status& status) override {
    End(grpc::Status(static_cast<grpc::StatusCode>(status.code()),
                     std::string(status.message())));
  }

  // Which also ends the read. No effect before Receive, but the gate asks
  // again.
  void GiveUp(const absl::Status& /*status*/) override
      ABSL_LOCKS_EXCLUDED(mu_) {
    if (EndReading(State::kFinished)) End(grpc::Status::OK);
  }

  void OnReadDone(bool ok) override ABSL_LOCKS_EXCLUDED(mu_) {
    source_->gate->Leave(*this);
    if (!EndReading(State::kAnswering)) return;
    if (!ok) {
      End(grpc::Status::OK);
      return;
    }
    const grpc::Status status = MakeResponse();
    request_.Clear();
    if (!status.ok()) {
      End(status);
      return;
    }
    writes_.Begin();
    StartWrite(&response_);
  }

  void OnWriteDone(bool ok) override {
    writes_.End();
    response_.Clear();
    if (ok) {
      source_->gate->Enter(group_, this->shared_from_this());
    } else {
      End(grpc::Status::CANCELLED);
    }
  }

  void OnDone() override {
    writes_.LetGo();
    held_for_grpc_.reset();
  }

 private:
  enum class State { kAnswering, kReading, kFinished };

  // False if it does not read.
  bool EndReading(State next) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (state_ != State::kReading) return false;
    state_ = next;
    return true;
  }

  // Turns request_ into response_, which is empty.
  grpc::Status MakeResponse() {
    if (request_.Length() > kMaxReflectionRequestBytes) {
      return grpc::Status(
          grpc::StatusCode::RESOURCE_EXHAUSTED,
          absl::StrCat("the request has ", request_.Length(),
                       " bytes, of at most ", kMaxReflectionRequestBytes));
    }
    In request;
    if (!grpc::SerializationTraits<In>::Deserialize(&request_, &request).ok()) {
      return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                          "the message is not one of this method's requests");
    }
    Out response;
    Answer(*source_, request, &response);
    bool own_buffer = false;  // True afterwards, whatever the message.
    return grpc::SerializationTraits<Out>::Serialize(response, &response_,
                                                     &own_buffer);
  }

  void End(const grpc::Status& status) {
    writes_.Begin();
    // After this line OnDone may have given up the last reference.
    Finish(status);
  }

  // Constant after construction.
  const ReflectionSource* const source_;
  const std::string group_;

  absl::Mutex mu_;
  State state_ ABSL_GUARDED_BY(mu_) = State::kAnswering;
  WriteWatch writes_;
  grpc::ByteBuffer request_;   // From Receive to OnReadDone.
  grpc::ByteBuffer response_;  // Until it is written.
  std::shared_ptr<ReflectionReactor> held_for_grpc_;
};

}  // namespace

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*
ReflectionV1Service::ServerReflectionInfo(
    grpc::CallbackServerContext* context) {
  return ReflectionReactor<
      grpc::reflection::v1::ServerReflectionRequest,
      grpc::reflection::v1::ServerReflectionResponse>::Start(source_, context);
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>*
ReflectionV1AlphaService::ServerReflectionInfo(
    grpc::CallbackServerContext* context) {
  return ReflectionReactor<
      grpc::reflection::v1alpha::ServerReflectionRequest,
      grpc::reflection::v1alpha::ServerReflectionResponse>::Start(source_,
                                                                  context);
}

}  // namespace ddgan
