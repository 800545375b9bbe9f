/* config_show.c - the key table as people read it: what is in force, --help, docs/config.md. */
#include <sextant/json.h>

#include "service/config_internal.h"
#include "service/config_values.h"

static void show(const sx_entry *e, sx_buf *out)
{
    size_t start = out->len;
    sx_key_write(e->key, e->into, out);
    if ((e->key->flags & SX_KEY_SECRET) && out->len > start) {
        out->len = start;
        sx_buf_str(out, SX_STR("<redacted>"));
    }
}

void sx_config_show(const sx_config *c, const sx_key *key, sx_buf *out)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->entries[i].key == key)
            show(&c->entries[i], out);
}

void sx_config_dump(const sx_config *c, sx_buf *out)
{
    static const sx_str ORIGINS[] = {
        [SX_FROM_DEFAULT] = SX_STR_INIT("default"),
        [SX_FROM_FILE] = SX_STR_INIT("file"),
        [SX_FROM_ENVIRONMENT] = SX_STR_INIT("environment"),
        [SX_FROM_FLAG] = SX_STR_INIT("flag"),
    };
    sx_json_writer w;
    sx_buf value;
    sx_buf_init(&value, 0);
    sx_json_writer_init(&w, out, NULL);
    sx_json_begin_object(&w);
    for (size_t i = 0; i < c->count; i++) {
        const sx_entry *e = &c->entries[i];
        sx_buf_clear(&value);
        show(e, &value);
        sx_json_key(&w, sx_str_z(e->key->key));
        sx_json_begin_object(&w);
        sx_json_key(&w, SX_STR("value"));
        sx_json_str(&w, sx_buf_view(&value));
        sx_json_key(&w, SX_STR("source"));
        sx_json_str(&w, ORIGINS[e->origin]);
        sx_json_end_object(&w);
    }
    sx_json_end_object(&w);
    if (sx_json_writer_finish(&w, NULL) || value.failed)
        out->failed = true; /* whoever sends it asks the buffer */
    sx_buf_done(&value);
}

/* ---- rows ---- */

static const char *const KIND_WORDS[SX_KEY_KINDS] = {
    [SX_BOOL] = "bool", [SX_INT] = "integer",   [SX_BYTES] = "size",      [SX_MS] = "time",
    [SX_TEXT] = "text", [SX_CHOICE] = "choice", [SX_ADDRESS] = "address", [SX_TEXTS] = "list",
};

static bool is_number(const sx_key *key)
{
    return key->kind == SX_INT || key->kind == SX_BYTES || key->kind == SX_MS;
}

static void write_default(const sx_key *key, sx_buf *out)
{
    if (key->kind == SX_BOOL)
        sx_buf_str(out, key->usual ? SX_STR("true") : SX_STR("false"));
    else if (key->kind == SX_CHOICE)
        sx_buf_str(out, sx_str_z(key->choices[key->usual]));
    else if (is_number(key))
        sx_key_write_number(key->kind, key->usual, out);
    else
        sx_buf_str(out, sx_str_z(key->text));
}

/* `1s to 10m`, or `json, console`, or nothing. */
static void write_allowed(const sx_key *key, sx_buf *out)
{
    if (key->kind == SX_CHOICE) {
        for (int i = 0; key->choices[i]; i++)
            sx_buf_printf(out, "%s%s", i ? ", " : "", key->choices[i]);
    } else if (is_number(key)) {
        sx_key_write_number(key->kind, key->least, out);
        sx_buf_str(out, key->most ? SX_STR(" to ") : SX_STR(" or more"));
        if (key->most)
            sx_key_write_number(key->kind, key->most, out);
    }
}

void sx_config_help(const sx_key_set *sets, size_t set_count, sx_buf *out)
{
    for (size_t s = 0; s < set_count; s++) {
        for (size_t i = 0; i < sets[s].count; i++) {
            const sx_key *key = &sets[s].keys[i];
            size_t from = out->len;
            sx_buf_printf(out, "  --%s=", key->key);
            sx_buf_str(out,
                       key->kind == SX_CHOICE ? SX_STR("WORD") : sx_str_z(KIND_WORDS[key->kind]));
            do
                sx_buf_byte(out, ' ');
            while (out->len - from < 38 && !out->failed);
            sx_buf_printf(out, "%s", key->help);
            sx_buf rest;
            sx_buf_init(&rest, 0);
            write_default(key, &rest);
            if (rest.len > 0)
                sx_buf_printf(out, " [%.*s]", SX_ARG(sx_buf_view(&rest)));
            if (key->kind == SX_CHOICE) {
                sx_buf_str(out, SX_STR(" ("));
                write_allowed(key, out);
                sx_buf_byte(out, ')');
            }
            sx_buf_done(&rest);
            sx_buf_byte(out, '\n');
        }
    }
}

void sx_config_docs(const char *program, const sx_key_set *sets, size_t set_count, sx_buf *out)
{
    sx_buf_str(out, SX_STR("| key | environment | kind | default | allowed | what it does |\n"
                           "|---|---|---|---|---|---|\n"));
    for (size_t s = 0; s < set_count; s++) {
        for (size_t i = 0; i < sets[s].count; i++) {
            const sx_key *key = &sets[s].keys[i];
            char name[SX_ENV_NAME_BYTES];
            sx_buf_printf(out, "| `%s` | `%.*s` | %s | ", key->key,
                          SX_ARG(sx_env_name(program, key->key, name)), KIND_WORDS[key->kind]);
            write_default(key, out);
            sx_buf_str(out, SX_STR(" | "));
            write_allowed(key, out);
            sx_buf_printf(out, " | %s%s%s |\n", key->help,
                          key->flags & SX_KEY_RESTART ? "; needs a restart" : "",
                          key->flags & SX_KEY_SECRET ? "; never shown" : "");
        }
    }
}
