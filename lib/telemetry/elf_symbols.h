/* elf_symbols.h - the function that an address of a program file belongs to, without the dynamic
 * linker's locks: for the crash handler, which may use system calls alone, and for profiles.
 *
 * The file is mapped and its symbol table searched from end to end; nothing is kept. Every offset in it
 * is checked: the file may have been replaced since the program was started. Source: System V ABI,
 * "Object Files", ELF-64; native byte order only. */
#ifndef SEXTANT_TELEMETRY_ELF_SYMBOLS_H
#define SEXTANT_TELEMETRY_ELF_SYMBOLS_H

#include <sextant/str.h>

typedef struct sx_elf {
    const char *data; /* mapped; NULL: nothing */
    size_t len;
} sx_elf;

/* Maps the file; false if it cannot be read. Async-signal-safe, as all here. */
bool sx_elf_open(sx_elf *elf, const char *path);
void sx_elf_close(sx_elf *elf);

/* The build id in its notes; empty if it has none or is no ELF-64 file of this machine's order. */
sx_str sx_elf_build_id(const sx_elf *elf);

/* The build id among `notes`, the bytes of a PT_NOTE segment or note section. */
sx_str sx_elf_note_build_id(sx_str notes);

/* The function at `vaddr`, an address before relocation: its name points into the mapping, *offset is
 * counted from its start. False if no symbol covers it. */
bool sx_elf_function(const sx_elf *elf, uint64_t vaddr, sx_str *name, uint64_t *offset);

/* One address that is asked for, and the answer. */
typedef struct sx_elf_query {
    uint64_t vaddr;
    sx_str name;    /* empty: no symbol covers it; else points into the mapping */
    uint64_t start; /* of the function */
} sx_elf_query;

/* The same for many addresses in one pass; `queries` are sorted by vaddr, their names empty. */
void sx_elf_functions(const sx_elf *elf, sx_elf_query *queries, size_t count);

#endif
