/* password.c - see password.h. */
#include "observe/auth/password.h"

#include <argon2.h>
#include <string.h>
#include <unistd.h>

#include <sextant/random.h>

enum { PASSES = 2, MEMORY_KIB = 19 * 1024, LANES = 1, SALT_BYTES = 16, HASH_BYTES = 32 };

/* A hash is some 30 ms of a core, and strangers may have us compute as many as the line takes: who hashes
 * gives way to the loops, for good, since such threads do nothing else. What the system says to it does not
 * matter. */
static void give_way(void)
{
    enum { NICE = 5 }; /* a third of the others' share */
    static _Thread_local bool given;
    if (!given)
        (void)!nice(NICE); /* of the calling thread alone: Linux */
    given = true;
}

sx_status auth_password_hash(sx_str password, char out[AUTH_PASSWORD_TEXT], sx_error *err)
{
    uint8_t salt[SALT_BYTES];
    if (password.len < AUTH_PASSWORD_LEAST)
        return sx_fail(err, SX_EINVAL, "the password is too short; use at least %d characters",
                       AUTH_PASSWORD_LEAST);
    if (password.len > AUTH_PASSWORD_MOST)
        return sx_fail(err, SX_EINVAL, "the password is longer than %d bytes", AUTH_PASSWORD_MOST);
    sx_status status = sx_random_bytes(salt, sizeof salt, err);
    if (status != SX_OK)
        return status;
    give_way();
    int failed = argon2id_hash_encoded(PASSES, MEMORY_KIB, LANES, password.data, password.len, salt,
                                       sizeof salt, HASH_BYTES, out, AUTH_PASSWORD_TEXT);
    if (failed == ARGON2_MEMORY_ALLOCATION_ERROR)
        return sx_fail_memory(err, "the password's hash");
    return failed ? sx_fail(err, SX_EIO, "the password's hash: %s", argon2_error_message(failed))
                  : SX_OK;
}

bool auth_password_matches(sx_str hash, sx_str password)
{
    /* Of a password that nobody has, with the costs of real ones. */
    static const char NOBODY[] = "$argon2id$v=19$m=19456,t=2,p=1$c2V4dGFudHNleHRhbnQ$"
                                 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    char text[AUTH_PASSWORD_TEXT];
    bool known = hash.len > 0 && hash.len < sizeof text;
    if (password.len > AUTH_PASSWORD_MOST)
        return false;
    memcpy(text, known ? hash.data : NOBODY, known ? hash.len : sizeof NOBODY);
    give_way();
    if (known)
        text[hash.len] = '\0';
    return argon2id_verify(text, password.data, password.len) == ARGON2_OK && known;
}
