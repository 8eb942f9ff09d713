// The trace of a gRPC call, from and to its metadata.
#ifndef DDGAN_SERVER_CALLS_CALL_TRACE_H_
#define DDGAN_SERVER_CALLS_CALL_TRACE_H_

#include <grpcpp/server_context.h>

#include "server/access/trace_context.h"

namespace ddgan {

// Reads the trace that the caller's metadata names, or begins one, and tells
// the caller by the trailers `traceparent`, which names this call's span, and
// `tracestate`. Not by initial metadata: a refusal with some of that is no
// longer one that a gRPC client may try again.
// Once per call, before anything is sent. Thread-compatible.
//
// Whether the trace is recorded is its caller's decision; of traces that begin
// here, `ratio` of them are, in [0, 1].
TraceContext TraceCall(grpc::ServerContextBase* context, double ratio = 0);

}  // namespace ddgan

#endif  // DDGAN_SERVER_CALLS_CALL_TRACE_H_
