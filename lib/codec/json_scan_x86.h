/* json_scan_x86.h - the vector scan, included by json_scan_x86.c once for each vector width.
 *
 * The includer defines V (a vector), V_BYTES, TARGET and INLINE (attributes), OP(name) (its vector
 * operations) and SCAN (the function to define). There is no include guard for that reason. */

#define V_COUNT (64 / V_BYTES)

/* Bit i of the result is the parity of bits 0 to i: a carry-less product by all ones. */
INLINE uint64_t OP(prefix_xor)(uint64_t bits)
{
    __m128i product = _mm_clmulepi64_si128(_mm_set_epi64x(0, (int64_t)bits), _mm_set1_epi8(-1), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

/* { and [, } and ] differ by bit 5 alone. White space and the comma and colon each differ in their
 * low halves, so one look-up gives the only byte of the class that could stand here; the fillers
 * (0 and, at index 0, 1) have another low half than their index. */
INLINE json_bits OP(classify)(const V v[V_COUNT])
{
    static const uint8_t SPACES[16] = {[0x0] = ' ', [0x9] = '\t', [0xa] = '\n', [0xd] = '\r'};
    static const uint8_t COMMAS[16] = {[0x0] = 1, [0xa] = ':', [0xc] = ','};
    const V spaces = OP(table)(SPACES), commas = OP(table)(COMMAS);
    json_bits b = {0};
    for (unsigned i = 0; i < V_COUNT; i++) {
        V folded = OP(or)(v[i], OP(all)(0x20));
        unsigned shift = i * V_BYTES;
        b.quote |= OP(eq)(v[i], OP(all)('"')) << shift;
        b.slash |= OP(eq)(v[i], OP(all)('\\')) << shift;
        b.open |= OP(eq)(folded, OP(all)('{')) << shift;
        b.close |= OP(eq)(folded, OP(all)('}')) << shift;
        b.comma |= OP(eq)(v[i], OP(lookup)(commas, v[i])) << shift;
        b.space |= OP(eq)(v[i], OP(lookup)(spaces, v[i])) << shift;
        b.control |= OP(eq)(OP(min)(v[i], OP(all)(0x1f)), v[i]) << shift;
    }
    return b;
}

/* Nonzero bytes where UTF-8 is broken: faulty pairs, and the third and fourth bytes of characters
 * that are not continuations (or the reverse), which saturating subtraction turns into bit 7. */
INLINE V OP(utf8_faults)(V now, V before)
{
    V prev = OP(back1)(now, before);
    V pair = OP(and)(OP(and)(OP(lookup)(OP(table)(JSON_UTF8_HIGH), OP(high_half)(prev)),
                             OP(lookup)(OP(table)(JSON_UTF8_LOW), OP(and)(prev, OP(all)(15)))),
                     OP(lookup)(OP(table)(JSON_UTF8_NEXT), OP(high_half)(now)));
    V third = OP(minus)(OP(back2)(now, before), OP(all)((char)(0xe0 - 0x80)));
    V fourth = OP(minus)(OP(back3)(now, before), OP(all)((char)(0xf0 - 0x80)));
    V must_continue = OP(and)(OP(or)(third, fourth), OP(all)((char)UTF8_TWO_CONTINUATIONS));
    return OP(xor)(must_continue, pair);
}

/* HOT: some 40 cycles a block of ASCII with AVX2, half of them for the offsets; 25 with AVX-512. */
TARGET unsigned SCAN(const unsigned char *at, uint32_t offset, uint32_t blocks, uint32_t first,
                     sx_json_window *w, sx_json_carry *carry)
{
    V before = OP(of_tail)(carry->tail);
    V faults = OP(all)(0);
    uint64_t controls = 0;
    sx_json_carry c = *carry;
    for (uint32_t i = first; i < first + blocks; i++, at += 64, offset += 64) {
        V v[V_COUNT];
        V any = before;
        for (unsigned j = 0; j < V_COUNT; j++) {
            v[j] = OP(load)(at + j * V_BYTES);
            any = OP(or)(any, v[j]);
        }
        json_bits b = OP(classify)(v);
        uint64_t quotes = json_real_quotes(&b, &c);
        uint64_t inside = OP(prefix_xor)(quotes) ^ c.in_string;
        uint64_t marks = json_put_block(&b, quotes, inside, &c, w, i);
        OP(put_offsets)(marks, offset, w);
        controls |= b.control & inside;
        if (!OP(is_ascii)(any)) {
            for (unsigned j = 0; j < V_COUNT; j++)
                faults = OP(or)(faults, OP(utf8_faults)(v[j], j ? v[j - 1] : before));
        }
        before = v[V_COUNT - 1];
    }
    c.tail = OP(to_tail)(before);
    *carry = c;
    unsigned bad = controls ? JSON_BAD_CONTROL : 0;
    if (!OP(is_zero)(faults))
        bad |= JSON_BAD_UTF8;
    return bad;
}

#undef V_COUNT
