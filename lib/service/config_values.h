/* config_values.h - what the kinds of keys look like as text: read, checked, written. */
#ifndef SEXTANT_SERVICE_CONFIG_VALUES_H
#define SEXTANT_SERVICE_CONFIG_VALUES_H

#include <sextant/config.h>

/* Reads `text` into the field of `key` in `into`. Texts go to the arena. Errors: SX_EFORMAT with what
 * is wrong and what is allowed (no key, no place), SX_ENOMEM. */
sx_status sx_key_read(const sx_key *key, sx_str text, sx_arena *arena, void *into, sx_error *err);

/* The same for SX_TEXTS from items that are apart already. */
sx_status sx_key_read_items(const sx_key *key, const sx_str *items, size_t count, sx_arena *arena,
                            void *into, sx_error *err);

/* Puts the row's default there. */
sx_status sx_key_default(const sx_key *key, sx_arena *arena, void *into, sx_error *err);

/* Appends the field's value as a person would write it: 64KiB, 1m30s, a,b. */
void sx_key_write(const sx_key *key, const void *from, sx_buf *out);

/* Whether both structures hold the same value. */
bool sx_key_equal(const sx_key *key, const void *a, const void *b);

/* Appends a number of that kind. */
void sx_key_write_number(sx_key_kind kind, int64_t value, sx_buf *out);

#endif
