/* trace_peer.c - asks the kit what it makes of propagation fields and trace ids, for comparison with
 * another implementation. Reads commands, one a line, and answers each with one line:
 *
 *     extract BITS<TAB>NAME=VALUE<TAB>…   "TRACE SPAN FLAGS TRACESTATE" or "none"
 *     inject BITS TRACEPARENT             "NAME=VALUE<TAB>…" or "none"
 *     ratio R TRACE                       "1": kept, or "0"
 *     span                                an encoded span with some of everything, in hex
 *
 * BITS is a sum of sx_propagator. Used by test_trace_peers.py. */
#include <stdio.h>
#include <stdlib.h>

#include <sextant/number.h>

#include "telemetry/trace_hex.h"
#include "telemetry/tracer.h"

static sx_str get_field(const void *carrier, sx_str name)
{
    sx_str rest = *(const sx_str *)carrier, field, key, value;
    while (rest.len > 0) {
        sx_str_cut(rest, '\t', &field, &rest);
        sx_str_cut(field, '=', &key, &value);
        if (sx_str_eq(key, name))
            return value;
    }
    return sx_str_of(NULL, 0);
}

static unsigned take_bits(sx_str *text, char end)
{
    sx_str digits;
    uint64_t bits = 0;
    sx_str_cut(*text, end, &digits, text);
    sx_assert(sx_str_to_u64(digits, &bits) && bits < 32);
    return (unsigned)bits;
}

static void extract(sx_str fields)
{
    sx_span_context c;
    char trace[33], span[17];
    unsigned bits = take_bits(&fields, '\t');
    sx_trace_extract(bits, get_field, &fields, &c);
    if (!sx_span_context_valid(&c)) {
        puts("none");
        return;
    }
    sx_trace_id_hex(&c, trace);
    sx_span_id_hex(&c, span);
    printf("%s %s %d %.*s\n", trace, span, c.flags, SX_ARG(c.tracestate));
}

static void inject(sx_str text)
{
    sx_span_context c = {.flags = 0};
    sx_inject_field fields[SX_INJECT_FIELDS];
    char room[SX_INJECT_BYTES];
    unsigned bits = take_bits(&text, ' ');
    sx_traceparent_parse(text, &c);
    size_t count = sx_trace_inject(bits, &c, SX_STR(""), fields, room);
    for (size_t i = 0; i < count; i++)
        printf("%.*s=%.*s\t", SX_ARG(fields[i].name), SX_ARG(fields[i].value));
    puts(count ? "" : "none");
}

static void ratio(sx_str text)
{
    sx_str number, hex;
    sx_sampling sampling = {.ratio_set = true};
    sx_sampler *sampler;
    uint8_t id[SX_TRACE_ID_BYTES];
    sx_str_cut(text, ' ', &number, &hex);
    sx_assert(sx_double_parse(number, &sampling.ratio) && hex.len == 32);
    sx_assert(sx_hex_read(sx_hex_lower, hex.data, id, sizeof(id)));
    sx_assert(sx_sampler_new(&sampling, &sampler, NULL) == SX_OK);
    sx_span_options span = {.name = SX_STR("s")};
    sx_sampler_question q = {id, NULL, &span, sx_clock_system()};
    puts(sx_sampler_decide(sampler, &q) ? "1" : "0");
    sx_sampler_free(sampler);
}

static char *hex_room(void *to, size_t bytes)
{
    static char room[65536];
    (void)to;
    return bytes < sizeof(room) ? room : NULL;
}

static void hex_commit(void *to, size_t bytes)
{
    const char *room = hex_room(to, bytes);
    for (size_t i = 0; i < bytes; i++)
        printf("%02x", (unsigned char)room[i]);
    puts("");
}

static void span(void)
{
    static const sx_span_sink SINK = {hex_room, hex_commit};
    sx_tracer *t;
    sx_span s;
    sx_span_context caller = {.flags = 0};
    sx_tracer_options options = {.attributes_max = 9, .events_max = 2, .links_max = 1};
    sx_assert(sx_tracer_new_to(&options, &SINK, NULL, &t, NULL) == SX_OK);
    sx_assert(sx_traceparent_parse(
        SX_STR("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03"), &caller));
    caller.tracestate = SX_STR("a=b");
    sx_span_start(&s, t,
                  &(sx_span_options){.name = SX_STR("first"),
                                     .kind = SX_SPAN_SERVER,
                                     .parent = &caller,
                                     .start_wall_ns = 1700000000000000001});
    SX_SPAN_SET(&s, sx_field_z("text", "caf\xc3\xa9 \xff"), sx_field_i64("low", INT64_MIN),
                sx_field_u64("big", UINT64_MAX), sx_field_double("half", -0.5),
                sx_field_bool("yes", true), sx_field_bool("no", false), sx_field_z("again", "1"),
                sx_field_json("json", SX_STR("{\"a\":[1,\"x\",null,{\"b\":2.5}]}")));
    sx_span_set_texts(&s, "list", (const sx_str[]){SX_STR("a"), SX_STR("b")}, 2);
    SX_SPAN_SET(&s, sx_field_z("again", "2"), sx_field_z("one too many", ""));
    const sx_field in[] = {sx_field_i64("n", 1)};
    sx_span_event(&s, SX_STR("event"), in, 1);
    sx_span_link link = {caller, in, 1};
    sx_span_link_add(&s, &link);
    sx_span_link_add(&s, &link);
    sx_span_error(&s, SX_STR("timeout"), SX_STR("too late"));
    sx_span_event(&s, SX_STR("one too many"), NULL, 0);
    sx_span_rename(&s, SX_STR("GET /orders/:id"));
    sx_span_end(&s);
    sx_tracer_free(t);
}

int main(void)
{
    static const struct {
        sx_str name;
        void (*run)(sx_str rest);
    } COMMANDS[] = {{SX_STR_INIT("extract"), extract},
                    {SX_STR_INIT("inject"), inject},
                    {SX_STR_INIT("ratio"), ratio}};
    char *line = NULL;
    size_t room = 0;
    for (ssize_t len; (len = getline(&line, &room, stdin)) > 0;) {
        sx_str text = sx_str_of(line, (size_t)len), name, rest;
        if (sx_str_ends(text, SX_STR("\n")))
            text = sx_str_first(text, text.len - 1);
        sx_str_cut(text, ' ', &name, &rest);
        if (sx_str_eq(name, SX_STR("span")))
            span();
        for (size_t i = 0; i < SX_COUNT_OF(COMMANDS); i++)
            if (sx_str_eq(name, COMMANDS[i].name))
                COMMANDS[i].run(rest);
    }
    free(line);
    return 0;
}
