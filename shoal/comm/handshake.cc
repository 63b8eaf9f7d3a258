#include "shoal/comm/handshake.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "shoal/comm/tcp_socket.h"
#include "shoal/core/check.h"

namespace shoal {
namespace {

constexpr std::string_view kMagic{"SHOAL1\0\1", 8};
constexpr std::size_t kNonce = 32;
constexpr std::size_t kWho = 8;
constexpr std::size_t kProof = 32;
constexpr std::size_t kHello = kMagic.size() + kWho + kNonce + kProof;

std::string proof(const std::string& secret, const std::string& text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  const bool done = HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
                         reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest,
                         &length) != nullptr;
  check(done && length == kProof, "HMAC-SHA-256 gives 32 bytes");
  return std::string(reinterpret_cast<char*>(digest), length);
}

bool equal(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string bytes_of(std::uint64_t number) {
  std::string bytes;
  for (std::size_t i = 0; i < kWho; ++i) bytes += static_cast<char>((number >> (8 * i)) & 0xff);
  return bytes;
}

std::uint64_t number_of(std::string_view bytes) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < kWho; ++i) {
    number |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return number;
}

}  // namespace

Doorkeeper::Doorkeeper(std::string secret)
    : secret_(std::move(secret)), greeting_(std::string(kMagic) + random_bytes(kNonce)) {}

std::size_t Doorkeeper::bytes_missing() const { return kHello - received_.size(); }

Doorkeeper::Verdict Doorkeeper::take(std::string_view bytes) {
  received_ += bytes;
  const std::string_view hello = received_;
  const std::size_t known = std::min(hello.size(), kMagic.size());
  if (hello.substr(0, known) != kMagic.substr(0, known)) return Verdict::refused;
  if (hello.size() < kHello) return Verdict::more;
  const std::string who(hello.substr(kMagic.size(), kWho));
  const std::string theirs(hello.substr(kMagic.size() + kWho, kNonce));
  const std::string_view given = hello.substr(kHello - kProof);
  const std::string ours = greeting_.substr(kMagic.size());
  if (!equal(given, proof(secret_, "client" + ours + theirs + who))) {
    answer_ = std::string(1 + kProof, '\0');
    return Verdict::refused;
  }
  visitor_ = number_of(who);
  answer_ = '\1' + proof(secret_, "server" + theirs + ours + who);
  return Verdict::accepted;
}

Admission ask_admission(const Socket& socket, const std::string& secret, std::uint64_t who,
                        Deadline deadline) {
  std::string greeting(kMagic.size() + kNonce, '\0');
  if (!read_all(socket, greeting.data(), greeting.size(), deadline)) return Admission::gone;
  if (greeting.substr(0, kMagic.size()) != kMagic) return Admission::not_a_server;
  const std::string theirs = greeting.substr(kMagic.size());
  const std::string ours = random_bytes(kNonce);
  const std::string name = bytes_of(who);
  const std::string hello =
      std::string(kMagic) + name + ours + proof(secret, "client" + theirs + ours + name);
  std::string answer(1 + kProof, '\0');
  if (!write_all(socket, hello.data(), hello.size(), deadline) ||
      !read_all(socket, answer.data(), answer.size(), deadline)) {
    return Admission::gone;
  }
  const bool known = answer[0] == '\1' && equal(std::string_view(answer).substr(1),
                                                proof(secret, "server" + ours + theirs + name));
  return known ? Admission::admitted : Admission::refused;
}

}  // namespace shoal
