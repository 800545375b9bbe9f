/* fuzz_elf_symbols.c - any bytes as a program file: a name that is found lies inside them, and so does
 * the build id. */
#include "telemetry/elf_symbols.h"

static bool inside(const sx_elf *elf, sx_str s)
{
    return s.len == 0 || (s.data >= elf->data && s.data + s.len <= elf->data + elf->len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t ADDRESSES[] = {0, 1, 0x1000, 0x4010, UINT64_MAX};
    sx_elf elf = {(const char *)data, size};
    sx_assert(inside(&elf, sx_elf_build_id(&elf)));
    for (size_t i = 0; i < SX_COUNT_OF(ADDRESSES); i++) {
        sx_str name = {0};
        uint64_t offset = 0;
        if (sx_elf_function(&elf, ADDRESSES[i], &name, &offset))
            sx_assert(name.len > 0 && inside(&elf, name) && offset <= ADDRESSES[i]);
    }
    return 0;
}
