// An HTTP/2 client whose every frame the test sends and reads.
#ifndef DDGAN_TESTS_SERVER_RAW_CONNECTION_H_
#define DDGAN_TESTS_SERVER_RAW_CONNECTION_H_

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ddgan/v1/image_generation.pb.h"
#include "gtest/gtest.h"

namespace ddgan {

// An HTTP/2 connection on which the test says when it has heard what.
class RawConnection {
 public:
  // `receive_bytes` is what the system keeps of what the test has not read; 0
  // leaves that to the system. `source` is one of the loopback's many
  // addresses.
  explicit RawConnection(int port, int receive_bytes = 0,
                         const char* source = "127.0.0.1")
      : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_bytes > 0) {
      setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_bytes,
                 sizeof(receive_bytes));
    }
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    EXPECT_EQ(inet_pton(AF_INET, source, &address.sin_addr), 1);
    EXPECT_EQ(
        bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)),
        0);
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address),
                      sizeof(address)),
              0);
    const timeval limit = {.tv_sec = 30, .tv_usec = 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    SendFrame(kSettings, 0, 0, "");
  }
  ~RawConnection() { close(socket_); }

  static constexpr int kData = 0, kHeaders = 1, kRstStream = 3, kSettings = 4,
                       kPing = 6, kGoaway = 7, kWindowUpdate = 8;
  static constexpr int kEndStream = 1, kEndHeaders = 4;
  struct Frame {
    int type = -1;  // -1: the connection is closed.
    int flags = 0;
    uint32_t stream = 0;
    std::string payload;
  };

  Frame ReadFrame() {
    const std::string header = Read(9);
    Frame frame;
    if (header.size() < 9) return frame;
    auto byte = [&header](int i) {
      return static_cast<uint32_t>(static_cast<uint8_t>(header[i]));
    };
    frame.type = static_cast<int>(byte(3));
    frame.flags = static_cast<int>(byte(4));
    frame.stream = byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8);
    frame.payload = Read(byte(0) << 16 | byte(1) << 8 | byte(2));
    return frame;
  }

  // The next frame of `type`; what comes before is dropped.
  Frame ReadUntil(int type) {
    Frame frame;
    do {
      frame = ReadFrame();
    } while (frame.type != type && frame.type != -1);
    return frame;
  }

  void SendFrame(int type, int flags, uint32_t stream,
                 const std::string& payload) {
    const size_t size = payload.size();
    const std::string header = {
        static_cast<char>(size >> 16),   static_cast<char>(size >> 8),
        static_cast<char>(size),         static_cast<char>(type),
        static_cast<char>(flags),        static_cast<char>(stream >> 24),
        static_cast<char>(stream >> 16), static_cast<char>(stream >> 8),
        static_cast<char>(stream)};
    Send(header + payload);
  }

  // Lets the server send as much as HTTP/2 can count.
  void OpenWindows() {
    const std::string largest = "\x7f\xff\xff\xff";
    SendFrame(kSettings, 0, 0, std::string("\0\4", 2) + largest);
    // Beyond the 65535 bytes that a connection begins with.
    SendFrame(kWindowUpdate, 0, 0, std::string("\x7f\xff\0\0", 4));
  }

  using Headers = std::vector<std::pair<std::string, std::string>>;

  // The beginning of a call, without its message.
  void BeginCall(uint32_t stream, const std::string& path,
                 const Headers& more = {}) {
    Headers all = {{":method", "POST"}, {":scheme", "http"},
                   {":path", path},     {":authority", "test"},
                   {"te", "trailers"},  {"content-type", "application/grpc"}};
    all.insert(all.end(), more.begin(), more.end());
    std::string headers;
    for (const auto& [name, value] : all) {
      // A literal that is not indexed, in HPACK.
      headers += '\0';
      headers += static_cast<char>(name.size());
      headers += name;
      headers += static_cast<char>(value.size());
      headers += value;
    }
    SendFrame(kHeaders, kEndHeaders, stream, headers);
  }

  // A whole call of Generate.
  void SendCall(uint32_t stream, const v1::GenerateRequest& request,
                const Headers& more = {}) {
    BeginCall(stream, "/ddgan.v1.ImageGeneration/Generate", more);
    const std::string message = request.SerializeAsString();
    const std::string prefix = {0, 0, 0, 0, static_cast<char>(message.size())};
    SendFrame(kData, kEndStream, stream, prefix + message);
  }

  // Whether the other end closed the connection, having sent nothing more of
  // importance.
  bool ReadsEnd() { return ReadUntil(-2).type == -1; }

 private:
  void Send(const std::string& bytes) {
    EXPECT_EQ(send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  std::string Read(size_t size) {
    std::string bytes(size, '\0');
    bytes.resize(std::max<ssize_t>(
        0, recv(socket_, bytes.data(), size, size > 0 ? MSG_WAITALL : 0)));
    return bytes;
  }

  const int socket_;
};

inline uint32_t LastStreamOf(const RawConnection::Frame& goaway) {
  uint32_t last = 0;
  for (int i = 0; i < 4; ++i) {
    last = last << 8 | static_cast<uint8_t>(goaway.payload.at(i));
  }
  return last;
}

}  // namespace ddgan

#endif  // DDGAN_TESTS_SERVER_RAW_CONNECTION_H_
