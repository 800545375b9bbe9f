/* template_format.c - values as Go's package fmt prints them. */
#include <math.h>
#include <stdio.h>

#include <sextant/number.h>
#include <sextant/utf8.h>

#include "codec/go_text.h"
#include "codec/template_internal.h"

enum { NUMBER_BYTES = 512, WIDTH_MAX = 1000, PRECISION_MAX = 100, OBJECT_DEPTH = 16 };

const char *template_type(const sx_tvalue *v)
{
    static const char *const TYPES[] = {[SX_TVALUE_NIL] = "<nil>",
                                        [SX_TVALUE_BOOL] = "bool",
                                        [SX_TVALUE_INT] = "int",
                                        [SX_TVALUE_FLOAT] = "float64",
                                        [SX_TVALUE_STRING] = "string",
                                        [SX_TVALUE_LIST] = "[]interface {}",
                                        [SX_TVALUE_MAP] = "map[string]interface {}",
                                        [SX_TVALUE_STRUCT] = "struct",
                                        [SX_TVALUE_FUNC] = "func"};
    bool object =
        v->kind == SX_TVALUE_LIST || v->kind == SX_TVALUE_MAP || v->kind == SX_TVALUE_STRUCT;
    return object && v->ops->type ? v->ops->type : TYPES[v->kind];
}

/* --- %v */

/* The arena of values that are only printed: freed with the printing. */
static void print_object(const sx_tvalue *v, int depth, sx_buf *out);

static void print_value(const sx_tvalue *v, int depth, sx_buf *out)
{
    char number[SX_DOUBLE_BYTES];
    switch (v->kind) {
    case SX_TVALUE_NIL:
        sx_buf_str(out, SX_STR("<nil>"));
        break;
    case SX_TVALUE_BOOL:
        sx_buf_str(out, v->boolean ? SX_STR("true") : SX_STR("false"));
        break;
    case SX_TVALUE_INT:
        sx_buf_i64(out, v->integer);
        break;
    case SX_TVALUE_FLOAT:
        sx_buf_bytes(out, number, sx_double_format(v->number, SX_DOUBLE_GO, number));
        break;
    case SX_TVALUE_STRING:
        sx_buf_str(out, v->string);
        break;
    case SX_TVALUE_FUNC:
        sx_buf_str(out, SX_STR("func"));
        break;
    default:
        print_object(v, depth, out);
    }
}

static void print_object(const sx_tvalue *v, int depth, sx_buf *out)
{
    if (v->ops->print) {
        if (v->ops->print(v->object, out) != SX_OK)
            out->failed = true;
        return;
    }
    bool map = v->kind == SX_TVALUE_MAP;
    sx_buf_str(out, map ? SX_STR("map[") : v->kind == SX_TVALUE_LIST ? SX_STR("[") : SX_STR("{"));
    int64_t count =
        v->ops->count && v->ops->at && depth < OBJECT_DEPTH ? v->ops->count(v->object) : 0;
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    for (int64_t i = 0; i < count && !out->failed; i++) {
        sx_tvalue key, item;
        if (v->ops->at(v->object, i, &arena, &key, &item, NULL) != SX_OK) {
            out->failed = true;
            break;
        }
        if (i)
            sx_buf_byte(out, ' ');
        if (map) {
            print_value(&key, depth + 1, out);
            sx_buf_byte(out, ':');
        }
        print_value(&item, depth + 1, out);
    }
    sx_arena_done(&arena);
    sx_buf_byte(out, v->kind == SX_TVALUE_STRUCT ? '}' : ']');
}

void template_print(const sx_tvalue *v, sx_buf *out)
{
    print_value(v, 0, out);
}

void template_sprint(const sx_tvalue *args, size_t count, sx_buf *out)
{
    for (size_t i = 0; i < count; i++) {
        if (i && args[i].kind != SX_TVALUE_STRING && args[i - 1].kind != SX_TVALUE_STRING)
            sx_buf_byte(out, ' ');
        template_print(&args[i], out);
    }
}

/* --- printf */

typedef struct tverb {
    bool minus, plus, sharp, space, zero;
    int width, precision; /* -1: not given */
    char verb;
} tverb;

/* Writes `text` padded to the width, counted in characters; zeros go behind a sign. */
static void pad(const tverb *f, sx_str text, bool number, sx_buf *out)
{
    int fill = f->width - (int)sx_utf8_count(text);
    bool zeros = f->zero && !f->minus && number;
    if (zeros && fill > 0 && text.len && (text.data[0] == '-' || text.data[0] == '+')) {
        sx_buf_byte(out, text.data[0]);
        text = sx_str_from(text, 1);
    }
    for (; fill > 0 && !f->minus; fill--)
        sx_buf_byte(out, zeros ? '0' : ' ');
    sx_buf_str(out, text);
    for (; fill > 0; fill--)
        sx_buf_byte(out, ' ');
}

static void print_bad_verb(const tverb *f, const sx_tvalue *v, sx_buf *out)
{
    sx_buf_printf(out, "%%!%c(", f->verb);
    if (v->kind != SX_TVALUE_NIL)
        sx_buf_printf(out, "%s=", template_type(v));
    template_print(v, out);
    sx_buf_byte(out, ')');
}

static void print_integer(const tverb *f, int64_t value, sx_buf *out)
{
    static const char LOWER[] = "0123456789abcdef", UPPER[] = "0123456789ABCDEF";
    char text[80], *end = text + sizeof text, *p = end;
    unsigned base = f->verb == 'b'                     ? 2
                    : f->verb == 'o' || f->verb == 'O' ? 8
                    : f->verb == 'x' || f->verb == 'X' ? 16
                                                       : 10;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--p = (f->verb == 'X' ? UPPER : LOWER)[left % base];
        left /= base;
    } while (left);
    if (f->sharp && base == 16) {
        *--p = f->verb;
        *--p = '0';
    } else if ((f->sharp && base == 8) || f->verb == 'O') {
        if (f->verb == 'O')
            *--p = 'o';
        *--p = '0';
    } else if (f->sharp && base == 2) {
        *--p = 'b';
        *--p = '0';
    }
    if (value < 0)
        *--p = '-';
    else if (f->plus)
        *--p = '+';
    else if (f->space)
        *--p = ' ';
    pad(f, sx_str_of(p, (size_t)(end - p)), true, out);
}

static void print_float(const tverb *f, double value, sx_buf *out)
{
    char text[NUMBER_BYTES], plain[SX_DOUBLE_FIXED_BYTES];
    size_t len = 0;
    if (f->plus && !(value < 0) && !isinf(value))
        text[len++] = '+';
    else if (f->space && !(value < 0))
        text[len++] = ' ';
    if (!isfinite(value) ||
        ((f->verb == 'v' || f->verb == 'g' || f->verb == 'G') && f->precision < 0)) {
        char shortest[SX_DOUBLE_BYTES];
        size_t n = sx_double_format(value, SX_DOUBLE_GO, shortest);
        memcpy(text + len, shortest, n);
        len += n;
    } else if (f->verb == 'f' || f->verb == 'F') {
        size_t n = sx_double_fixed(value, f->precision < 0 ? 6 : f->precision, plain);
        memcpy(text + len, plain, n);
        len += n;
    } else {
        char form[] = "%.*e";
        form[3] = f->verb == 'v' ? 'g' : f->verb;
        len += (size_t)snprintf(text + len, sizeof text - len, form,
                                f->precision < 0 ? 6 : f->precision, value);
    }
    pad(f, sx_str_of(text, len), isfinite(value), out);
}

static void print_string(const tverb *f, sx_str s, sx_buf *out)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    if (f->precision >= 0 && f->verb != 'x' && f->verb != 'X') {
        size_t bytes = 0;
        for (int i = 0; i < f->precision && bytes < s.len; i++) {
            uint32_t code;
            size_t len = sx_utf8_decode(sx_str_from(s, bytes), &code);
            bytes += len ? len : 1;
        }
        s = sx_str_first(s, bytes);
    }
    if (f->verb == 'q') {
        (f->plus ? go_quote_ascii : go_quote)(s, &text);
    } else if (f->verb == 'x' || f->verb == 'X') {
        for (size_t i = 0; i < s.len; i++)
            sx_buf_printf(&text, f->verb == 'x' ? "%02x" : "%02X", (unsigned char)s.data[i]);
    } else {
        sx_buf_str(&text, s);
    }
    pad(f, sx_buf_view(&text), false, out);
    out->failed |= text.failed;
    sx_buf_done(&text);
}

static void print_char(const tverb *f, const sx_tvalue *v, sx_buf *out)
{
    char text[16];
    uint32_t code = v->integer >= 0 && v->integer <= 0x10ffff ? (uint32_t)v->integer : 0xfffd;
    if (f->verb == 'U') {
        int len = snprintf(text, sizeof text, "U+%04X", code);
        pad(f, sx_str_of(text, (size_t)len), false, out);
        return;
    }
    pad(f, sx_str_of(text, sx_utf8_encode(code, text)), false, out);
}

static bool one_of(char verb, const char *verbs)
{
    return verb && strchr(verbs, verb) != NULL;
}

static void print_verb(const tverb *f, const sx_tvalue *v, sx_buf *out)
{
    tverb as_v = *f;
    if (f->verb == 'T') {
        pad(f, sx_str_z(template_type(v)), false, out);
    } else if (v->kind == SX_TVALUE_INT && one_of(f->verb, "vdboOxX")) {
        print_integer(f, v->integer, out);
    } else if (v->kind == SX_TVALUE_INT && one_of(f->verb, "cU")) {
        print_char(f, v, out);
    } else if (v->kind == SX_TVALUE_FLOAT && one_of(f->verb, "veEfFgG")) {
        print_float(f, v->number, out);
    } else if (v->kind == SX_TVALUE_STRING && one_of(f->verb, "vsqxX")) {
        as_v.verb = f->verb == 'v' && f->sharp ? 'q' : f->verb;
        print_string(&as_v, v->string, out);
    } else if (v->kind == SX_TVALUE_BOOL && one_of(f->verb, "vt")) {
        pad(f, v->boolean ? SX_STR("true") : SX_STR("false"), false, out);
    } else if (f->verb == 'v' || (v->kind >= SX_TVALUE_LIST && one_of(f->verb, "sq"))) {
        sx_buf text;
        sx_buf_init(&text, 0);
        template_print(v, &text);
        pad(f, sx_buf_view(&text), false, out);
        out->failed |= text.failed;
        sx_buf_done(&text);
    } else {
        print_bad_verb(f, v, out);
    }
}

/* A width or precision: digits, or `*` for the next argument. Returns -1 if there is none. */
static int read_size(sx_str *s, const sx_tvalue *args, size_t count, size_t *used, int most)
{
    int value = -1;
    if (s->len && s->data[0] == '*') {
        *s = sx_str_from(*s, 1);
        if (*used < count && args[*used].kind == SX_TVALUE_INT && args[*used].integer >= 0)
            value = args[*used].integer > most ? most : (int)args[*used].integer;
        ++*used;
        return value;
    }
    while (s->len && s->data[0] >= '0' && s->data[0] <= '9') {
        value = (value < 0 ? 0 : value) * 10 + (s->data[0] - '0');
        if (value > most)
            value = most;
        *s = sx_str_from(*s, 1);
    }
    return value;
}

static bool read_flag(tverb *f, char c)
{
    bool *flag = c == '-'   ? &f->minus
                 : c == '+' ? &f->plus
                 : c == '#' ? &f->sharp
                 : c == ' ' ? &f->space
                 : c == '0' ? &f->zero
                            : NULL;
    if (flag)
        *flag = true;
    return flag != NULL;
}

void sx_template_printf(sx_str format, const sx_tvalue *args, size_t count, sx_buf *out)
{
    size_t used = 0;
    while (format.len) {
        size_t plain = sx_str_find_byte(format, '%');
        sx_buf_str(out, sx_str_first(format, plain));
        format = sx_str_from(format, plain);
        if (format.len == 0)
            break;
        format = sx_str_from(format, 1);
        tverb f = {.width = -1, .precision = -1};
        while (format.len && read_flag(&f, format.data[0]))
            format = sx_str_from(format, 1);
        f.width = read_size(&format, args, count, &used, WIDTH_MAX);
        if (format.len && format.data[0] == '.') {
            format = sx_str_from(format, 1);
            f.precision = read_size(&format, args, count, &used, PRECISION_MAX);
            f.precision = f.precision < 0 ? 0 : f.precision;
        }
        if (format.len == 0) {
            sx_buf_str(out, SX_STR("%!(NOVERB)"));
            break;
        }
        f.verb = format.data[0];
        format = sx_str_from(format, 1);
        if (f.verb == '%')
            sx_buf_byte(out, '%');
        else if (used >= count)
            sx_buf_printf(out, "%%!%c(MISSING)", f.verb);
        else
            print_verb(&f, &args[used++], out);
    }
    if (used >= count)
        return;
    sx_buf_str(out, SX_STR("%!(EXTRA "));
    for (size_t i = used; i < count; i++) {
        if (i > used)
            sx_buf_str(out, SX_STR(", "));
        sx_buf_printf(out, "%s=", template_type(&args[i]));
        template_print(&args[i], out);
    }
    sx_buf_byte(out, ')');
}
