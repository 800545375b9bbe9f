/* fuzz_template.c - a template that is accepted runs to its end within its limits and prints the same
 * each time; every refusal says why. */
#include <sextant/buf.h>

#include "codec/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STEPS_MAX = 20000, OUTPUT_MAX = 100000 };

static int64_t count(const void *object)
{
    (void)object;
    return 3;
}

static sx_status at(const void *object, int64_t i, sx_arena *arena, sx_tvalue *key,
                    sx_tvalue *value, sx_error *err)
{
    (void)object, (void)arena, (void)err;
    *key = (sx_tvalue){.kind = SX_TVALUE_INT, .integer = i};
    *value = (sx_tvalue){.kind = SX_TVALUE_FLOAT, .number = (double)i + 0.5};
    return SX_OK;
}

static const sx_tobject_ops LIST = {.count = count, .at = at};

static sx_status get(const void *object, sx_str name, sx_arena *arena, sx_tvalue *out,
                     sx_error *err)
{
    (void)object, (void)arena;
    if (name.len == 1 && name.data[0] == 'l')
        *out = (sx_tvalue){.kind = SX_TVALUE_LIST, .object = &LIST, .ops = &LIST};
    else if (name.len == 1)
        *out = (sx_tvalue){.kind = SX_TVALUE_STRING, .string = name};
    else
        return sx_fail(err, SX_ENOTFOUND, "no such field");
    return SX_OK;
}

static const sx_tobject_ops DATA = {.get = get};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_template_options o = {.steps_max = STEPS_MAX, .output_bytes_max = OUTPUT_MAX};
    sx_tvalue dot = {.kind = SX_TVALUE_STRUCT, .object = &DATA, .ops = &DATA};
    sx_template *t;
    sx_error err = {0};
    if (sx_template_new(SX_STR("f"), sx_str_of(data, size), &o, &t, &err) != SX_OK) {
        sx_assert(err.message[0] != '\0');
        return 0;
    }
    sx_buf out[2];
    sx_status st[2];
    for (int i = 0; i < 2; i++) {
        sx_arena arena;
        err.message[0] = '\0';
        sx_arena_init(&arena, 0, 64 << 20);
        sx_buf_init(&out[i], 0);
        st[i] = sx_template_run(t, (sx_str){0}, &dot, NULL, &arena, &out[i], &err);
        sx_assert(st[i] == SX_OK || err.message[0] != '\0');
        sx_arena_done(&arena);
    }
    sx_assert(st[0] == st[1] && sx_str_eq(sx_buf_view(&out[0]), sx_buf_view(&out[1])));
    sx_buf_done(&out[0]);
    sx_buf_done(&out[1]);
    sx_template_free(t);
    return 0;
}
