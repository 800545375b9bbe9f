/* bcrypt.c - checks a password against a bcrypt hash, by the system's crypt(3).
 *
 * The one file that knows libcrypt. htpasswd writes $2y$, Python and Go $2b$ or $2a$: the same for
 * passwords as UTF-8 of at most 72 bytes, which is all that bcrypt looks at. */
#include <crypt.h>
#include <string.h>

#include <sextant/mem.h>

#include "service/web_auth.h"

enum { HASH_BYTES = 60, PASSWORD_BYTES_MAX = 512 };

/* As long for any two texts of that length. */
static bool same(const char *a, const char *b, size_t len)
{
    unsigned char differ = 0;
    for (size_t i = 0; i < len; i++)
        differ |= (unsigned char)(a[i] ^ b[i]);
    return differ == 0;
}

bool sx_bcrypt_matches(sx_str hash, sx_str password)
{
    char setting[HASH_BYTES + 1], phrase[PASSWORD_BYTES_MAX + 1];
    if (hash.len != HASH_BYTES || password.len > PASSWORD_BYTES_MAX ||
        (password.len > 0 && memchr(password.data, 0, password.len)))
        return false;
    struct crypt_data *data = (struct crypt_data *)sx_calloc(1, sizeof(*data)); /* 32 KiB */
    if (!data)
        return false;
    memcpy(setting, hash.data, HASH_BYTES);
    setting[HASH_BYTES] = '\0';
    if (password.len > 0)
        memcpy(phrase, password.data, password.len);
    phrase[password.len] = '\0';
    /* Not crypt_r, which sanitizers put a wrapper of theirs in front of, so that the linker drops
     * the library. */
    const char *made = crypt_rn(phrase, setting, data, sizeof(*data));
    bool matches = made && strlen(made) == HASH_BYTES && same(made, setting, HASH_BYTES);
    explicit_bzero(phrase, sizeof(phrase));
    explicit_bzero(data, sizeof(*data));
    sx_free(data);
    return matches;
}
