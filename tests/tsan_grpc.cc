// Tells ThreadSanitizer what to make of Debian's gRPC and OpenTelemetry, which
// are built without it: how they hand memory from thread to thread cannot be
// seen, and would be reported as races. Our own code is watched as ever.
//
// Linked into every test of a build with DDGAN_SANITIZE=thread, and nowhere else.

// What libraries do through intercepted functions is ignored
// (tsan_abseil_mutex.cc); what is inlined from their headers is not.
extern "C" const char* __tsan_default_suppressions() {
  // By function or file that one of the two accesses must have on its stack.
  // Of our own code, only a reactor's OnDone has one of these on its stack.
  return
      // A call object is constructed in memory that the library's arena had
      // handed out before; its reference count, and which reactor it has, are
      // read by whichever thread the library's completion queue picks.
      "race:grpc::internal::ServerCallbackCall::ServerCallbackCall\n"
      "race:ServerCallbackWriterImpl::reactor\n"
      // An operation is prepared on the thread that calls Finish and completed
      // on a thread of the completion queue.
      "race:grpcpp/impl/call_op_set.h\n"
      "race:grpc::internal::CallbackWithSuccessTag::Set\n"
      "race:grpc::internal::CallbackWithSuccessTag::CallbackWithSuccessTag\n"
      // A request is received, and read, by a thread of the completion queue
      // after another has begun its call.
      "race:HandleReceived\n"
      // A span's strings are handed from the threads of the calls to
      // OpenTelemetry's, which serialises and frees them.
      "race:google::protobuf::io::EpsCopyOutputStream\n"
      "race:opentelemetry::\n"
      // A call's tag is constructed by the thread that starts the call, and run
      // on one of the completion queue's.
      "race:grpc::internal::CallbackWithStatusTag::CallbackWithStatusTag\n"
      "race:grpc::internal::CallbackWithStatusTag::Run\n"
      // A reactor that starts its first write where it is constructed is told
      // of its end by another thread, which looks up OnWriteDone in it. Only
      // the look-up: what OnWriteDone does itself is watched.
      "race_top:ServerCallbackWriterImpl::SetupReactor\n"
      // A call object and its reactor end on whichever thread the library says,
      // after every other thread is done with them.
      "race:ServerCallbackUnaryImpl::CallOnDone\n"
      "race:ServerCallbackWriterImpl::CallOnDone\n";
}
