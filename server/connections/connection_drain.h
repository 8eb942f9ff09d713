// Ends the connections of a gRPC server without failing a call.
//
// grpc::Server::Shutdown alone does not: from its first line on, a call that
// arrives is ended with CANCELLED, while the peer learns only by the GOAWAY,
// which comes later, that it may send no more (seen in 1.51; the issue
// grpc/grpc#41785). So the connections are told first, while calls are still
// taken, and the server is shut down once they are gone.
#ifndef DDGAN_SERVER_CONNECTIONS_CONNECTION_DRAIN_H_
#define DDGAN_SERVER_CONNECTIONS_CONNECTION_DRAIN_H_

#include <grpcpp/server.h>

namespace ddgan {

// Sends GOAWAY on every connection that has not got one, in HTTP/2's graceful
// way: the peer is asked to begin no call, those that it began before it knew
// are served, and a connection closes with its last call. Blocks until that is
// under way; not to be called on a thread of gRPC, nor after Shutdown.
void SendGoaways(grpc::Server* server);

}  // namespace ddgan

#endif  // DDGAN_SERVER_CONNECTIONS_CONNECTION_DRAIN_H_
