/* seal.c - see seal.h. nonce (12 bytes), cipher text, tag (16 bytes). */
#include "observe/auth/seal.h"

#include <openssl/evp.h>

#include <sextant/random.h>

#include "codec/base64.h"

enum { NONCE_BYTES = 12, TAG_BYTES = 16, AROUND_BYTES = NONCE_BYTES + TAG_BYTES };

sx_str seal_base64url(sx_str in, sx_arena *arena)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    sx_base64_encode(in, &b);
    for (size_t i = 0; i < b.len; i++)
        b.data[i] = (char)(b.data[i] == '+' ? '-' : b.data[i] == '/' ? '_' : b.data[i]);
    while (b.len && b.data[b.len - 1] == '=')
        b.len--;
    sx_str out = b.failed ? SX_STR("") : sx_arena_copy(arena, sx_buf_view(&b));
    sx_buf_done(&b);
    return out.data ? out : SX_STR("");
}

static bool encrypt(const uint8_t *key, sx_str text, uint8_t *to)
{
    int len = 0, last = 0;
    uint8_t *cipher = to + NONCE_BYTES;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok =
        ctx && EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, to) == 1 &&
        EVP_EncryptUpdate(ctx, cipher, &len, (const uint8_t *)text.data, (int)text.len) == 1 &&
        EVP_EncryptFinal_ex(ctx, cipher + len, &last) == 1 &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, cipher + text.len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

static bool decrypt(const uint8_t *key, uint8_t *from, size_t text_len, uint8_t *to)
{
    int len = 0, last = 0;
    uint8_t *cipher = from + NONCE_BYTES;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok = ctx && EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, from) == 1 &&
              EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, cipher + text_len) == 1 &&
              EVP_DecryptUpdate(ctx, to, &len, cipher, (int)text_len) == 1 &&
              EVP_DecryptFinal_ex(ctx, to + len, &last) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok;
}

sx_status seal_close(const uint8_t key[SEAL_KEY_BYTES], sx_str text, sx_arena *arena, sx_str *out,
                     sx_error *err)
{
    if (text.len > SEAL_TEXT_MAX)
        return sx_fail(err, SX_ELIMIT, "a text of %zu bytes is too long to be sealed", text.len);
    uint8_t *bytes = sx_arena_alloc(arena, text.len + AROUND_BYTES);
    sx_status status =
        bytes ? sx_random_bytes(bytes, NONCE_BYTES, err) : sx_fail_memory(err, "a sealed text");
    if (status != SX_OK)
        return status;
    if (!encrypt(key, text, bytes))
        return sx_fail_memory(err, "a sealed text");
    *out = seal_base64url(sx_str_of(bytes, text.len + AROUND_BYTES), arena);
    return out->len ? SX_OK : sx_fail_memory(err, "a sealed text");
}

bool seal_open(const uint8_t key[SEAL_KEY_BYTES], sx_str sealed, sx_arena *arena, sx_str *out)
{
    size_t len;
    if (sealed.len > (SEAL_TEXT_MAX + AROUND_BYTES) / 3 * 4 + 4)
        return false;
    char *bytes = sx_arena_alloc(arena, sx_base64_bytes(sealed.len));
    if (!bytes || !sx_base64_decode_into(sealed, bytes, &len) || len < AROUND_BYTES)
        return false;
    char *text = sx_arena_alloc(arena, len - AROUND_BYTES + 1);
    if (!text || !decrypt(key, (uint8_t *)bytes, len - AROUND_BYTES, (uint8_t *)text))
        return false;
    *out = sx_str_of(text, len - AROUND_BYTES);
    return true;
}
