/* fuzz_yaml.c - a tree that was accepted is sound: within its limits, every key found, every path
 * printable; and a refusal says where. */
#include <sextant/yaml.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NODES_MAX = 3000, DEPTH_MAX = 20 };

static uint32_t check(const sx_yaml_node *node, int depth)
{
    sx_assert(depth <= DEPTH_MAX);
    sx_assert(node->line >= 1 && node->column >= 1);
    uint32_t weight = 1;
    if (node->kind == SX_YAML_SCALAR)
        sx_assert(node->scalar.data && node->scalar.data[node->scalar.len] == '\0');
    for (uint32_t i = 0; node->kind == SX_YAML_SEQUENCE && i < node->count; i++)
        weight += check(node->items[i], depth + 1);
    for (uint32_t i = 0; node->kind == SX_YAML_MAPPING && i < node->count; i++) {
        sx_assert(node->pairs[i].key->kind == SX_YAML_SCALAR);
        sx_assert(sx_yaml_get(node, node->pairs[i].key->scalar) == node->pairs[i].value);
        weight += check(node->pairs[i].key, depth + 1);
        weight += check(node->pairs[i].value, depth + 1);
    }
    sx_assert(weight == node->weight && weight <= NODES_MAX);

    sx_error err = {0};
    bool yes;
    int64_t number;
    if (sx_yaml_bool(node, &yes, &err) != SX_OK)
        sx_assert(err.message[0] != '\0');
    if (sx_yaml_i64(node, 0, 10, &number, &err) == SX_OK)
        sx_assert(number >= 0 && number <= 10);
    return weight;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_yaml_options options = {.nodes_max = NODES_MAX, .depth_max = DEPTH_MAX, .anchors_max = 50};
    sx_arena arena;
    sx_yaml_file file;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    sx_status status =
        sx_yaml_parse(sx_str_of(data, size), SX_STR("f"), &options, &arena, &file, &err);
    if (status == SX_OK) {
        for (size_t i = 0; i < file.count; i++)
            check(file.documents[i], 0);
    } else {
        sx_assert(status == SX_EFORMAT || status == SX_ELIMIT);
        sx_assert(err.message[0] == 'f' && err.message[1] == ':');
    }
    sx_arena_done(&arena);
    return 0;
}
