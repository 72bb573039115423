/* tensor/team.c: every part of a parallel loop runs exactly once, whoever runs it. */
#include "tests/tests.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each of n elements is counted once; the value does not depend on the number of threads. */
static void count_all(int threads, int n, atomic_int *hits) {
#pragma omp parallel for num_threads(threads)
    for (int i = 0; i < n; i++) atomic_fetch_add(&hits[i], 1);
}

START_TEST(test_every_part_once) {
    enum { N = 1000 };
    static atomic_int hits[N];
    static const int teams[] = {1, 2, 3, 7, 64, 300};
    int rounds = 0;
    for (size_t t = 0; t < sizeof teams / sizeof *teams; t++)
        for (int repeat = 0; repeat < 50; repeat++, rounds++) count_all(teams[t], N, hits);
    for (int i = 0; i < N; i++) ck_assert_int_eq(hits[i], rounds);
}
END_TEST

START_TEST(test_loop_in_a_loop) {
    static atomic_int hits[8][10];
#pragma omp parallel for num_threads(4)
    for (int k = 0; k < 8; k++) count_all(3, 10, hits[k]);
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < 10; i++) ck_assert_int_eq(hits[k][i], 1);
}
END_TEST

static void *many_loops(void *arg) {
    for (int i = 0; i < 200; i++) count_all(3, 100, arg);
    return NULL;
}
START_TEST(test_two_callers) {
    static atomic_int hits[2][100];
    pthread_t other;
    ck_assert_int_eq(pthread_create(&other, NULL, many_loops, hits[0]), 0);
    many_loops(hits[1]);
    pthread_join(other, NULL);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 100; i++) ck_assert_int_eq(hits[k][i], 200);
}
END_TEST

START_TEST(test_after_fork) {
    static atomic_int hits[100];
    count_all(2, 100, hits);
    pid_t child = fork();
    if (child == 0) {
        count_all(2, 100, hits);
        bool good = true;
        for (int i = 0; i < 100; i++) good = good && hits[i] == 2;
        _exit(good ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

TEST_SUITE(team, test_every_part_once, test_loop_in_a_loop, test_two_callers, test_after_fork)
