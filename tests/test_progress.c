/* The line of the progress bar at every width, times and numbers. */
#include "apps/progress.h"
#include "tests/tests.h"

START_TEST(test_fits_every_width) {
    char buf[512];
    for (int columns = 1; columns < 140; columns++)
        for (int done = 0; done <= 898; done += 449) {
            progress_line(buf, sizeof buf, columns, "epoch 12/50", done, 898, 12345, 1.4231, 3700);
            ck_assert_int_le((int)strlen(buf), columns);
        }
}
END_TEST

START_TEST(test_what_is_left_out) {
    char buf[512];
    ck_assert_str_eq(progress_line(buf, sizeof buf, 79, "epoch  3/50", 449, 898, 1234.4, 1.4231, 12),
                     "epoch  3/50 [=========>           ] 449/898  1,234 img/s  loss 1.423  0:12 left");
    ck_assert_int_eq((int)strlen(buf), 79);
    ck_assert_str_eq(progress_line(buf, sizeof buf, 40, "epoch  3/50", 449, 898, 1234.4, 1.4231, 3720),
                     "epoch  3/50 449/898  1:02:00 left");
}
END_TEST

START_TEST(test_times_and_numbers) {
    char buf[32];
    ck_assert_str_eq(progress_time(buf, sizeof buf, 7.4), "0:07");
    ck_assert_str_eq(progress_time(buf, sizeof buf, 59.6), "1:00");
    ck_assert_str_eq(progress_time(buf, sizeof buf, 3723), "1:02:03");
    ck_assert_str_eq(progress_time(buf, sizeof buf, NAN), "0:00");
    ck_assert_str_eq(progress_number(buf, sizeof buf, 0), "0");
    ck_assert_str_eq(progress_number(buf, sizeof buf, 999), "999");
    ck_assert_str_eq(progress_number(buf, sizeof buf, 1000), "1,000");
    ck_assert_str_eq(progress_number(buf, sizeof buf, -1234567), "-1,234,567");
}
END_TEST

TEST_SUITE(progress, test_fits_every_width, test_what_is_left_out, test_times_and_numbers)
