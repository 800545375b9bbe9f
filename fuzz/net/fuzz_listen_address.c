/* What is accepted prints to something that reads back equal; a refusal has a message. */
#include "net/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_listen_address first, again;
    sx_error err = {0};
    char text[SX_ADDRESS_TEXT_BYTES];
    if (sx_listen_address_parse(sx_str_of(data, size), &first, &err) != SX_OK) {
        sx_assert(err.message[0] != '\0');
        return 0;
    }
    sx_listen_address_print(&first, text);
    sx_assert(sx_listen_address_parse(sx_str_z(text), &again, &err) == SX_OK);
    sx_assert(first.bytes == again.bytes && first.any == again.any &&
              memcmp(&first.storage, &again.storage, first.bytes) == 0);
    return 0;
}
