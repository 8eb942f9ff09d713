// Writes one image of the server at argv[1] to digit.png.
#include <fstream>
#include <iostream>

#include "client/image_client.h"
#include "client/secure_channel.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const auto channel = ddgan::OpenChannel(argv[1], {});
  if (!channel.ok()) return std::cerr << channel.status() << '\n', 1;
  const ddgan::ImageClient client(*channel, {});
  ddgan::v1::GenerateRequest request;
  request.set_count(1);
  request.set_seed(7);
  const auto reply = client.Generate(request);
  if (!reply.ok()) return std::cerr << reply.status() << '\n', 1;
  std::ofstream("digit.png", std::ios::binary) << reply->images(0).data();
}
