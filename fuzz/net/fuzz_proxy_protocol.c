/* The answer to a prefix is "more" or that of the whole; what is accepted names a real address. */
#include <arpa/inet.h>

#include "net/proxy_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_str in = sx_str_of(data, size);
    sx_peer peer = {0}, other = {0};
    sx_error err = {0};
    size_t bytes = 0, other_bytes = 0;
    sx_status rc = sx_proxy_parse(in, &peer, &bytes, &err);
    if (rc == SX_EFORMAT)
        sx_assert(err.message[0] != '\0');
    if (rc == SX_OK) {
        unsigned char raw[16];
        sx_assert(bytes <= size && bytes <= SX_PROXY_BYTES_MAX);
        sx_assert(peer.address[0] == '\0' || inet_pton(AF_INET, peer.address, raw) == 1 ||
                  inet_pton(AF_INET6, peer.address, raw) == 1);
    }
    for (size_t n = 0; n < size; n++) {
        sx_status part = sx_proxy_parse(sx_str_first(in, n), &other, &other_bytes, NULL);
        if (part == SX_AGAIN)
            continue;
        sx_assert(part == rc && other_bytes == bytes);
        break;
    }
    return 0;
}
