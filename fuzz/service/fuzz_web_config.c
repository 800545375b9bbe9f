/* Any text as a web configuration file: a refusal has a message with its place, and what is taken keeps
 * its promises: TLS has both files, checking has an authority, users have hashes that can match. */
#include <sextant/web_config.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_web_config *c;
    sx_error err = {0};
    if (sx_web_config_parse(sx_str_of((const char *)data, size), "w.yml", &c, &err) != SX_OK) {
        sx_assert(sx_str_starts(sx_str_z(err.message), SX_STR("w.yml:")));
        return 0;
    }
    const sx_tls_server_options *o = &c->tls_options;
    if (c->tls)
        sx_assert(c->certificate.chain_file && c->certificate.key_file);
    if (o->verify == SX_TLS_VERIFY_OPTIONAL || o->verify == SX_TLS_VERIFY_REQUIRED)
        sx_assert(o->client_ca_file);
    for (size_t i = 0; i < c->user_count; i++) {
        sx_assert(c->users[i].hash.len == 60);
        sx_assert(sx_str_find_byte(c->users[i].name, ':') == c->users[i].name.len);
    }
    for (size_t i = 0; i < c->header_count; i++)
        sx_assert(sx_str_find_byte(c->headers[i].value, '\n') == c->headers[i].value.len);
    sx_web_config_free(c);
    return 0;
}
