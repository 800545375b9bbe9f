/* modules.h - the files that are mapped into the process as code: for the crash report and for
 * profiles, which turn an address into a function of a file. */
#ifndef SEXTANT_TELEMETRY_MODULES_H
#define SEXTANT_TELEMETRY_MODULES_H

#include <sextant/str.h>

enum { SX_MODULES_MOST = 128, SX_MODULE_PATH_BYTES = 256, SX_MODULE_BUILD_ID_BYTES = 20 };

typedef struct sx_module {
    char path[SX_MODULE_PATH_BYTES];
    uintptr_t bias;                 /* address = bias + the file's own address */
    uintptr_t start, end;           /* of its segments */
    uintptr_t code_start, code_end; /* of those that may be executed, whole pages */
    uint64_t code_offset;           /* where in the file code_start is */
    uint8_t build_id[SX_MODULE_BUILD_ID_BYTES];
    uint8_t build_id_len;
} sx_module;

/* Lists what is mapped now, the program itself first; returns how many, at most `most`. Takes the
 * dynamic linker's lock: not for signal handlers. */
size_t sx_modules_list(sx_module *out, size_t most);

/* The module that has `address` in one of its segments; NULL: none. */
const sx_module *sx_module_find(const sx_module *modules, size_t count, uintptr_t address);

#endif
