/* What data sets say of a picture beside its labels: traits for scores by group, and whether a group is a
 * person. */
#include "data/data.h"
#include "tests/data_help.h"

static mn_dataset *open_spec(const char *kind, const char *path) {
    char spec[400];
    mn_error err = {0};
    snprintf(spec, sizeof spec, "%s:%s", kind, path);
    mn_dataset *d = mn_dataset_open(spec, NULL, &err);
    ck_assert_msg(d != NULL, "%s", err.text);
    return d;
}

static void expect(const mn_dataset *d, const char *id, const char *a, const char *b) {
    for (int64_t i = 0; i < d->length; i++) {
        mn_sample_info s;
        mn_error err = {0};
        ASSERT_OK(d->info(d, i, &s, &err), &err);
        if (strcmp(s.id, id) != 0) continue;
        const char *want[2] = {a, b};
        for (int k = 0; k < 2; k++)
            ck_assert_msg(want[k] ? s.trait[k] && !strcmp(s.trait[k], want[k]) : !s.trait[k], "%s: trait %d is %s", id, k,
                          s.trait[k] ? s.trait[k] : "unknown");
        return;
    }
    ck_abort_msg("no %s", id);
}

static void write_utkface(void) {
    static const char *const name[] = {"3_0_4_20170101.jpg.chip.jpg",   "4_1_0_20170102.jpg.chip.jpg",
                                       "29_1_2_20170103.jpg.chip.jpg",  "70_0_1_20170104.jpg.chip.jpg",
                                       "116_1_3_20170105.jpg.chip.jpg", "61_1_20170106.jpg.chip.jpg"};
    help_folder("utk");
    for (int i = 0; i < 6; i++) {
        char path[200];
        snprintf(path, sizeof path, "utk/%s", name[i]);
        help_write_text(test_path(path), name[i]);
    }
}

START_TEST(test_utkface) {
    write_utkface();
    mn_dataset *d = open_spec("utkface", test_path("utk"));
    ck_assert_int_eq(d->n_traits, 2);
    ck_assert_str_eq(d->trait_name[0], "age");
    ck_assert_str_eq(d->trait_name[1], "race");
    expect(d, "3_0_4_20170101.jpg.chip.jpg", "0-3", "other");
    expect(d, "4_1_0_20170102.jpg.chip.jpg", "4-12", "White");
    expect(d, "29_1_2_20170103.jpg.chip.jpg", "20-29", "Asian");
    expect(d, "70_0_1_20170104.jpg.chip.jpg", "70 and over", "Black");
    expect(d, "116_1_3_20170105.jpg.chip.jpg", "70 and over", "Indian");
    expect(d, "61_1_20170106.jpg.chip.jpg", "60-69", NULL);
    mn_sample_info s;
    mn_error err = {0};
    ASSERT_OK(d->info(d, 0, &s, &err), &err);
    ck_assert(!s.subject); /* nobody knows whose pictures these are */
    mn_dataset_destroy(d);
}
END_TEST

START_TEST(test_list_and_concat) {
    write_utkface();
    help_write_text(test_path("list.csv"), "path,gender,group,by:race,by:glasses\na.png,man,p1,Asian,yes\nb.png,woman,p2,,no\n");
    mn_dataset *list = open_spec("list", test_path("list.csv"));
    ck_assert_int_eq(list->n_heads, 1);
    ck_assert_int_eq(list->n_traits, 2);
    expect(list, "a.png", "Asian", "yes");
    expect(list, "b.png", NULL, "no");
    mn_sample_info s;
    mn_error err = {0};
    ASSERT_OK(list->info(list, 0, &s, &err), &err);
    ck_assert(s.subject);
    mn_dataset *part[2] = {list, open_spec("utkface", test_path("utk"))};
    mn_dataset *all = mn_dataset_concat(part, 2, &err);
    ck_assert_msg(all != NULL, "%s", err.text);
    ck_assert_int_eq(all->n_traits, 3); /* race, glasses, age */
    ck_assert_str_eq(all->trait_name[2], "age");
    expect(all, "29_1_2_20170103.jpg.chip.jpg", "Asian", NULL);
    ASSERT_OK(all->info(all, 2, &s, &err), &err);
    ck_assert(s.trait[2] != NULL && !s.subject);
    int64_t index[2] = {0, 3};
    mn_dataset *some = mn_dataset_subset(all, index, 2, &err);
    ck_assert_int_eq(some->n_traits, 3);
    expect(some, "a.png", "Asian", "yes");
    mn_dataset_destroy(some);
    mn_dataset_destroy(all);
}
END_TEST

START_TEST(test_too_many) {
    mn_error err = {0};
    help_write_text(test_path("many.csv"), "path,label,by:a,by:b,by:c,by:d,by:e\nx.png,1,,,,,\n");
    ck_assert_ptr_null(mn_dataset_list(test_path("many.csv"), NULL, &err));
    ASSERT_FAILS(err, MN_ERR_FORMAT, "by:NAME");
    mn_error_clear(&err);
    help_write_text(test_path("unnamed.csv"), "path,label,by:\nx.png,1,\n"); /* "by:" names nothing: a column like others */
    ck_assert_ptr_null(mn_dataset_list(test_path("unnamed.csv"), NULL, &err));
    ASSERT_FAILS(err, MN_ERR_FORMAT, "empty in every row");
}
END_TEST

TEST_SUITE(traits, test_utkface, test_list_and_concat, test_too_many)
