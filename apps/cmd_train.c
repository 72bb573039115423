/* mien train: a run from its command line to its last word, and Ctrl-C; train.c has the loop. */
#include "apps/app.h"
#include "apps/train.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if MN_HAVE_JSON

static volatile int stop; /* signals so far */

static void on_signal(int number) {
    (void)number;
    if (stop) _exit(APP_FAILED); /* the second one does not wait */
    stop = 1;
}

static void catch_signals(void) {
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigemptyset(&a.sa_mask);
    sigaction(SIGINT, &a, NULL);
    sigaction(SIGTERM, &a, NULL);
}

static void print_best(const train_run *r) {
    if (!r->valid || !r->stop.started) return;
    const epoch_record *e = &r->history[r->stop.best_epoch];
    printf("best      epoch %lld, validation loss %.4f", (long long)r->stop.best_epoch + 1, e->valid_loss);
    for (int h = 0; h < r->n_heads; h++) printf(", %s %.1f %%", r->info.head[h].name, 100 * e->valid_accuracy[h]);
    putchar('\n');
}

static void print_resume(const train_run *r) {
    printf("stopped   in epoch %lld after %lld of %lld batches; go on with\n  %s train --resume '%s'\n", (long long)r->epoch + 1,
           (long long)r->batch, (long long)r->per_epoch, program_invocation_name, r->checkpoint);
}

static void print_next(const train_run *r) {
    printf("next      %s eval --model %s", program_invocation_name, r->o.out);
    for (int k = 0; k < r->o.n_data; k++) printf(" --data %s", r->o.data[k]);
    putchar('\n');
}

static int run(const train_options *o) {
    train_run r;
    mn_error err = {0};
    int status = APP_FAILED;
    mn_status s = train_open(&r, o, &err);
    if (!s && o->resume) s = train_checkpoint_load(&r, &err);
    if (!s) {
        catch_signals();
        train_end end = train_loop(&r, &stop, &err);
        if (end == TRAIN_STOPPED) {
            print_resume(&r);
            train_close(&r);
            return APP_FAILED;
        }
        if (end == TRAIN_FAILED && access(r.checkpoint, R_OK) == 0 && r.epoch > 0)
            fprintf(stderr, "mien: %s holds the run as it was after epoch %lld\n", r.checkpoint, (long long)r.epoch);
        if (end == TRAIN_DONE) {
            print_best(&r);
            mn_error aside = {0}; /* what goes wrong beside the weights does not lose them */
            if (train_finish(&r, &aside)) fprintf(stderr, "mien: warning: the model is not calibrated: %s\n", aside.text);
            if (train_save(&r, &err) == MN_OK) {
                if (!o->keep_checkpoint) unlink(r.checkpoint);
                if (train_write_card(&r, &aside)) fprintf(stderr, "mien: warning: no card: %s\n", aside.text);
                print_next(&r);
                status = APP_OK;
            }
        }
    }
    if (status) app_fail(&err);
    train_close(&r);
    return status;
}

int cmd_train(int argc, char **argv) {
    train_options o;
    char **words;
    int status = train_command_line(&o, &words, argc, argv);
    if (status == APP_OK) status = run(&o);
    train_options_free(&o);
    train_words_free(words);
    return status;
}

#else
int cmd_train(int argc, char **argv) { return app_without(argc, argv, "jansson", "libjansson-dev"); }
#endif
