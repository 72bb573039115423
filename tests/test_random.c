/* Philox against the known answers of its authors' library, and what is built on it. */
#include "tests/tests.h"

START_TEST(test_philox_known_answers) {
    static const struct {
        uint64_t seed, stream, index;
        uint32_t want[4];
    } kat[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {~0ull, ~0ull, ~0ull, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822ull, 0x0370734413198a2eull, 0x85a308d3243f6a88ull, {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof kat / sizeof *kat; i++) {
        uint32_t got[4];
        mn_random_u32x4(kat[i].seed, kat[i].stream, kat[i].index, got);
        for (int k = 0; k < 4; k++) ck_assert_uint_eq(got[k], kat[i].want[k]);
    }
}
END_TEST

START_TEST(test_below_and_normal) {
    mn_rng r = mn_rng_create(7, 3);
    int seen[6] = {0};
    for (int i = 0; i < 6000; i++) {
        uint64_t v = mn_rng_below(&r, 6);
        ck_assert_uint_lt(v, 6);
        seen[v]++;
    }
    for (int k = 0; k < 6; k++) ck_assert(seen[k] > 850 && seen[k] < 1150);
    ck_assert_uint_eq(mn_rng_below(&r, 0), 0);
    ck_assert_uint_eq(mn_rng_below(&r, 1), 0);
    double sum = 0, square = 0;
    for (int i = 0; i < 20000; i++) {
        double v = mn_rng_normal(&r);
        sum += v, square += v * v;
    }
    ASSERT_CLOSE(sum / 20000, 0, 0.03);
    ASSERT_CLOSE(square / 20000, 1, 0.05);
}
END_TEST

TEST_SUITE(random, test_philox_known_answers, test_below_and_normal)
