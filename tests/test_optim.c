/* Optimisers against PyTorch 1.13's numbers (float64, five steps), schedules against its schedulers and
 * against hand computed points, early stopping, snapshots, averages.
 *
 * The problem: parameters a (5) and b (2,3), loss of step t = sum_k sin(1+k+3t) w_k^2 over both, k = 0..10,
 * from a_i = sin(1.7i+0.3) and b_i = cos(0.9(i+5)). */
#include "optim/optim.h"
#include "tests/op_test.h"

typedef struct problem {
    mn_context *c;
    mn_tensor *w[2];
} problem;

static problem problem_create(mn_context *c) {
    problem p = {c, {mn_parameter(c, "a", MN_SHAPE(5)), mn_parameter(c, "b", MN_SHAPE(2, 3))}};
    double a[5], b[6];
    for (int i = 0; i < 5; i++) a[i] = sin(1.7 * i + 0.3);
    for (int i = 0; i < 6; i++) b[i] = cos(0.9 * (i + 5));
    ASSERT_OK(mn_set_f64(p.w[0], a), mn_context_error(c));
    ASSERT_OK(mn_set_f64(p.w[1], b), mn_context_error(c));
    return p;
}

/* The gradient of the loss of step t with respect to parameter `which`, by a pass of its own. */
static void backward(problem *p, int which, int t) {
    double k[6];
    for (int i = 0; i < 6; i++) k[i] = sin(1.0 + (which ? 5 : 0) + i + 3.0 * t);
    mn_tensor *y = mn_square(p->w[which]);
    mn_tensor *dy = mn_tensor_create(p->c, MN_STEP, mn_context_dtype(p->c), p->w[which]->shape);
    ASSERT_OK(mn_set_f64(dy, k), mn_context_error(p->c));
    ASSERT_OK(mn_backward_from(p->c, y, dy), mn_context_error(p->c));
}

static void steps(problem *p, mn_optim *o, int from, int to) {
    ck_assert_msg(o != NULL, "%s", mn_context_error(p->c)->text);
    for (int t = from; t < to; t++) {
        mn_step_begin(p->c);
        backward(p, 0, t);
        backward(p, 1, t);
        ASSERT_OK(mn_optim_step(o), mn_context_error(p->c));
    }
}

static void expect_weights(op_env *e, problem *p, const char *name, const double want[11]) {
    double got[11], tolerance = mn_context_dtype(e->c) == MN_F64 ? 2e-14 : 2e-6;
    mn_get_f64(p->w[0], got), mn_get_f64(p->w[1], got + 5);
    for (int i = 0; i < 11; i++)
        ck_assert_msg(fabs(got[i] - want[i]) <= tolerance, "%s: weight %d is %.15g, PyTorch's is %.15g", name, i, got[i],
                      want[i]);
}

/* ---- the rules ---- */

static const struct {
    const char *name;
    mn_optim_opt opt;
    double norm, want[11];
} cases[] = {
    {"sgd",
     {.kind = MN_SGD, .lr = 0.05},
     0,
     {0.27475605832871, 0.808937322773807, -0.507175021349042, -0.807064788613987, 0.781963484285428, -0.220038662376868,
      0.606992489496556, 0.889346929702643, 0.566079049071716, -0.2495138562488, -0.975519109746615}},
    {"sgd, weight decay",
     {.kind = MN_SGD, .lr = 0.05, .weight_decay = 0.3},
     0,
     {0.254431590768266, 0.748442701810505, -0.469911563479897, -0.74873006205512, 0.725557552181125, -0.204133219335502,
      0.562385983728026, 0.822836085600131, 0.524212969224637, -0.231428583349163, -0.905149600548022}},
    {"sgd, momentum",
     {.kind = MN_SGD, .lr = 0.05, .momentum = 0.9, .weight_decay = 0.01},
     0,
     {0.229957414095257, 0.683024487836347, -0.504906642863957, -0.896837740175819, 0.869839746719354, -0.222504131781544,
      0.526360142538206, 0.731052640856722, 0.537123520337939, -0.271806560074801, -1.09618046004676}},
    {"sgd, dampening",
     {.kind = MN_SGD, .lr = 0.05, .momentum = 0.8, .dampening = 0.4},
     0,
     {0.231306366104142, 0.691231365154416, -0.50829757905456, -0.915258915183351, 0.899224727304617, -0.225990249454641,
      0.528369011628682, 0.739921939600689, 0.541042436427248, -0.27576491902643, -1.13241685770893}},
    {"sgd, nesterov",
     {.kind = MN_SGD, .lr = 0.05, .momentum = 0.9, .nesterov = true, .weight_decay = 0.1},
     0,
     {0.190211897694786, 0.521086765915175, -0.442853721175201, -0.837505292957628, 0.801855131876686, -0.210309600392866,
      0.457954557780755, 0.553789096617513, 0.451576601828182, -0.253058159906621, -1.01089400714133}},
    {"sgd, clip norm",
     {.kind = MN_SGD, .lr = 0.05, .momentum = 0.9, .clip_norm = 0.7},
     3.563495796123,
     {0.28440747979068, 0.871339643501288, -0.525999861231827, -0.798108730059339, 0.75959806466844, -0.213533038838138,
      0.616304670696907, 0.954718997559278, 0.596517855976903, -0.249238669959505, -0.95089397371583}},
    {"sgd, clip value",
     {.kind = MN_SGD, .lr = 0.05, .momentum = 0.9, .clip_value = 0.25},
     0,
     {0.265632736834549, 0.878471176825682, -0.519579381449006, -0.803590737555988, 0.759795290125876, -0.223936282842995,
      0.607159213686887, 0.969032386383415, 0.577525064532254, -0.270459598864483, -0.941956511884677}},
    {"sgd, both clips",
     {.kind = MN_SGD, .lr = 0.05, .clip_norm = 1.5, .clip_value = 0.4, .weight_decay = 0.2},
     3.44429879384921,
     {0.273493712667777, 0.845124865110897, -0.494854861797335, -0.747000480465346, 0.712850244044862, -0.204654726793599,
      0.593601622784394, 0.93124767430721, 0.563835322412826, -0.233960666012113, -0.886083753415109}},
    {"adam",
     {.kind = MN_ADAM},
     0,
     {0.294004037166575, 0.907909854525654, -0.528867439902884, -0.774301570540457, 0.730371199518976, -0.211929894047928,
      0.633119054024205, 0.998437245562646, 0.60712426388125, -0.24515517772394, -0.912565273241191}},
    {"adam, all options",
     {.kind = MN_ADAM, .lr = 0.02, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-3, .weight_decay = 0.2},
     0,
     {0.256159686052432, 0.875019912937538, -0.487439562530356, -0.787654409698958, 0.746677560758163, -0.214488512752911,
      0.591303363715115, 0.965306155777752, 0.571333561210303, -0.250551469304929, -0.929346994296983}},
    {"adamw",
     {.kind = MN_ADAMW, .lr = 0.02, .weight_decay = 0.3},
     0,
     {0.255333517420504, 0.854525251379961, -0.494407933025337, -0.779573466224898, 0.734373717003349, -0.225018533468484,
      0.584154459369435, 0.941775063855212, 0.565466576493887, -0.266297846877388, -0.911903272406563}},
    {"adamw, clip norm",
     {.kind = MN_ADAMW, .lr = 0.02, .weight_decay = 0.3, .clip_norm = 0.5},
     3.47483461458799,
     {0.25538452354419, 0.854544123608008, -0.494335657059935, -0.779509281436602, 0.734354355860807, -0.225066619965701,
      0.584240980469347, 0.941800466202144, 0.565455328409994, -0.266153824057181, -0.911876282890204}},
    {"rmsprop",
     {.kind = MN_RMSPROP},
     0,
     {0.201827054960201, 0.820106519061846, -0.43006836536786, -0.836890720418106, 0.800936305721, -0.265714298369741,
      0.560247762384412, 0.913182716318621, 0.510081496810186, -0.286422711860081, -0.983448505526866}},
    {"rmsprop, all options",
     {.kind = MN_RMSPROP, .lr = 0.004, .alpha = 0.9, .eps = 1e-4, .momentum = 0.7, .weight_decay = 0.1},
     0,
     {0.268793055157458, 0.883542699788798, -0.501545022344592, -0.791085672038588, 0.749366590056989, -0.227854458507833,
      0.607108951001104, 0.974158424469131, 0.581379938790414, -0.257843454613444, -0.931491926340185}},
};

static void against_pytorch(op_env *e) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        problem p = problem_create(e->c);
        mn_optim *o = mn_optim_create(e->c, p.w, 2, cases[i].opt);
        steps(&p, o, 0, 5);
        expect_weights(e, &p, cases[i].name, cases[i].want);
        ASSERT_CLOSE(mn_optim_grad_norm(o), cases[i].norm, e->tolerance * 10);
        ck_assert_int_eq(mn_optim_steps(o), 5);
    }
}
START_TEST(test_against_pytorch) { for_each_backend(against_pytorch); }
END_TEST

/* b learns ten times more slowly and without decay. */
static void per_parameter(op_env *e) {
    static const double want[11] = {0.196924481977867, 0.583776736744394,  -0.442145945953855, -0.796610633091526,
                                    0.773016683950275, -0.212249305953393, 0.624729884922163,  0.975751031461602,
                                    0.602118378505854, -0.246665023186129, -0.932794862838112};
    problem p = problem_create(e->c);
    mn_optim *o = mn_optim_create(e->c, p.w, 2, (mn_optim_opt){.lr = 0.05, .momentum = 0.9, .weight_decay = 0.2});
    ASSERT_OK(mn_optim_set_param(o, 1, 0.1, 0), mn_context_error(e->c));
    steps(&p, o, 0, 5);
    expect_weights(e, &p, "groups", want);
    ck_assert_int_eq(mn_optim_set_param(o, 2, 1, -1), MN_ERR_ARG);
    op_expect_error(e, NULL, MN_ERR_ARG, "no parameter 2; wanted 0..1");
    ck_assert_int_eq(mn_optim_set_param(o, 0, NAN, -1), MN_ERR_ARG);
    op_expect_error(e, NULL, MN_ERR_ARG, "parameter 0 cannot have");
}
START_TEST(test_per_parameter) { for_each_backend(per_parameter); }
END_TEST

static mn_optim_opt option_of(int kind) {
    return (mn_optim_opt){.kind = (mn_optim_kind)kind, .lr = 0.01, .momentum = 0.9, .weight_decay = 0.1};
}

/* A parameter without a new gradient keeps its value, its state and its count of updates. */
static void passed_over(op_env *e) {
    for (int kind = MN_SGD; kind <= MN_RMSPROP; kind++) {
        problem p = problem_create(e->c), q = problem_create(e->c);
        mn_optim *o = mn_optim_create(e->c, p.w, 2, option_of(kind));
        mn_optim *alone = mn_optim_create(e->c, q.w + 1, 1, option_of(kind));
        double before[5], after[5], b[6], want[6];
        mn_get_f64(p.w[0], before);
        for (int t = 0; t < 3; t++) { /* only b gets gradients */
            mn_step_begin(e->c);
            backward(&p, 1, t), backward(&q, 1, t);
            ASSERT_OK(mn_optim_step(o), mn_context_error(e->c));
            ASSERT_OK(mn_optim_step(alone), mn_context_error(e->c));
        }
        mn_get_f64(p.w[0], after), mn_get_f64(p.w[1], b), mn_get_f64(q.w[1], want);
        ck_assert_mem_eq(before, after, sizeof before);
        ck_assert_mem_eq(b, want, sizeof b);
        for (int i = 0; i < mn_optim_state_count(o); i++) {
            const char *name;
            mn_tensor *s = mn_optim_state(o, i, &name);
            if (strstr(name, "/0")) ck_assert_msg(mn_item(s, 3) == 0, "%s has changed", name);
        }
        /* a, first seen now, takes the first step of a fresh optimiser */
        problem r = problem_create(e->c);
        mn_optim *fresh = mn_optim_create(e->c, r.w, 1, option_of(kind));
        backward(&p, 0, 7), backward(&r, 0, 7);
        ASSERT_OK(mn_optim_step(o), mn_context_error(e->c));
        ASSERT_OK(mn_optim_step(fresh), mn_context_error(e->c));
        mn_get_f64(p.w[0], after), mn_get_f64(r.w[0], want);
        ck_assert_mem_eq(after, want, sizeof after);
        mn_get_f64(p.w[1], want);
        ck_assert_mem_eq(b, want, sizeof b);
        /* and once more without any gradient: a sentence */
        ck_assert_int_eq(mn_optim_step(o), MN_ERR_ARG);
        op_expect_error(e, NULL, MN_ERR_ARG, "hint: call mn_backward before mn_optim_step");
    }
}
START_TEST(test_passed_over) { for_each_backend(passed_over); }
END_TEST

/* Copies every state of `from` into `to`, as a checkpoint does; the number of steps first or last. */
static void carry_over(mn_optim *to, mn_optim *from, bool steps_first) {
    double v[16];
    if (steps_first) mn_optim_set_steps(to, mn_optim_steps(from));
    ck_assert_int_eq(mn_optim_state_count(to), mn_optim_state_count(from));
    for (int i = 0; i < mn_optim_state_count(to); i++) {
        const char *a, *b;
        mn_tensor *x = mn_optim_state(from, i, &a), *y = mn_optim_state(to, i, &b);
        ck_assert_str_eq(a, b);
        mn_get_f64(x, v), mn_set_f64(y, v);
    }
    if (!steps_first) mn_optim_set_steps(to, mn_optim_steps(from));
}

static void resumed(op_env *e) {
    for (int kind = MN_SGD; kind <= MN_RMSPROP; kind++) {
        problem p = problem_create(e->c), q = problem_create(e->c);
        mn_optim *o = mn_optim_create(e->c, p.w, 2, option_of(kind)), *again = NULL;
        double v[6], want[6], got[6];
        steps(&p, o, 0, 3);
        again = mn_optim_create(e->c, q.w, 2, option_of(kind));
        for (int i = 0; i < 2; i++) mn_get_f64(p.w[i], v), mn_set_f64(q.w[i], v);
        carry_over(again, o, kind % 2);
        steps(&p, o, 3, 6);
        steps(&q, again, 3, 6);
        ck_assert_int_eq(mn_optim_steps(again), 6);
        for (int i = 0; i < 2; i++) {
            mn_get_f64(p.w[i], want), mn_get_f64(q.w[i], got);
            ck_assert_mem_eq(want, got, (size_t)p.w[i]->count * sizeof *want);
        }
        /* a state that is no number of updates */
        mn_fill(mn_optim_state(again, mn_optim_state_count(again) - 1, NULL), -2);
        backward(&q, 0, 0);
        ck_assert_int_eq(mn_optim_step(again), MN_ERR_NUMERIC);
        op_expect_error(e, NULL, MN_ERR_NUMERIC, "-2 updates");
    }
}
START_TEST(test_resumed) { for_each_backend(resumed); }
END_TEST

/* Gradients that are not numbers change nothing where a norm is asked for. */
static void not_a_number(op_env *e) {
    problem p = problem_create(e->c);
    mn_optim *o = mn_optim_create(e->c, p.w, 2, (mn_optim_opt){.momentum = 0.9, .clip_norm = 1});
    steps(&p, o, 0, 1);
    double before[11], after[11];
    mn_get_f64(p.w[0], before), mn_get_f64(p.w[1], before + 5);
    mn_step_begin(e->c);
    backward(&p, 0, 1), backward(&p, 1, 1);
    mn_fill(p.w[0]->grad, NAN);
    ASSERT_OK(mn_optim_step(o), mn_context_error(e->c));
    mn_get_f64(p.w[0], after), mn_get_f64(p.w[1], after + 5);
    ck_assert_mem_eq(before, after, sizeof before);
    ck_assert(isnan(mn_optim_grad_norm(o)));
}
START_TEST(test_not_a_number) { for_each_backend(not_a_number); }
END_TEST

/* Tensors of many chunks: the same bits with one thread and with three, nothing outside touched, and nothing
 * allocated after the first step. */
START_TEST(test_threads) {
    enum { N = 100003 };
    static float result[2][N];
    for (int kind = MN_SGD; kind <= MN_RMSPROP; kind++) {
        for (int run = 0; run < 2; run++) {
            mn_context *c = mn_context_create(&(mn_context_opt){.threads = run ? 3 : 1}, NULL);
            mn_tensor *w[2] = {mn_parameter(c, "w", MN_SHAPE(N)), mn_parameter(c, "u", MN_SHAPE(33))};
            mn_fill_uniform(w[0], 1, -1, 1), mn_fill_uniform(w[1], 2, -1, 1);
            mn_optim_opt opt = option_of(kind);
            opt.clip_norm = 20;
            mn_optim *o = mn_optim_create(c, w, 2, opt);
            mn_ema *ema = mn_ema_create(c, w, 2, 0.9);
            int64_t allocated = 0;
            for (int t = 0; t < 4; t++) {
                mn_step_begin(c);
                for (int i = 0; i < 2; i++) {
                    mn_tensor *dy = mn_tensor_create(c, MN_STEP, MN_F32, w[i]->shape);
                    mn_fill_uniform(dy, 10 + (uint64_t)t, -1, 1);
                    ASSERT_OK(mn_backward_from(c, mn_square(w[i]), dy), mn_context_error(c));
                }
                ASSERT_OK(mn_optim_step(o), mn_context_error(c));
                ASSERT_OK(mn_ema_update(ema), mn_context_error(c));
                if (t == 2) allocated = mn_allocation_count();
            }
            ck_assert_int_eq(mn_allocation_count(), allocated);
            ASSERT_OK(mn_ema_swap(ema), mn_context_error(c));
            mn_get(w[0], result[run]);
            mn_context_destroy(c);
        }
        ck_assert_mem_eq(result[0], result[1], sizeof result[0]);
    }
}
END_TEST

static void refused(op_env *e) {
    problem p = problem_create(e->c);
    static const struct {
        mn_optim_opt opt;
        const char *part;
    } bad[] = {{{.lr = -1}, "sgd: lr is -1; wanted a number of at least 0"},
               {{.lr = NAN}, "lr is nan"},
               {{.momentum = 1}, "momentum is 1; wanted a number from 0 to below 1"},
               {{.nesterov = true}, "nesterov with momentum 0"},
               {{.nesterov = true, .momentum = 0.9, .dampening = 0.5}, "dampening 0.5"},
               {{.kind = MN_ADAM, .beta2 = 1.5}, "adam: beta2 is 1.5"},
               {{.kind = MN_RMSPROP, .alpha = -0.1}, "rmsprop: alpha is -0.1"},
               {{.kind = MN_ADAMW, .weight_decay = INFINITY}, "adamw: weight_decay is inf"},
               {{.clip_norm = -3}, "clip_norm is -3"},
               {{.kind = (mn_optim_kind)9}, "no optimiser number 9"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_ptr_null(mn_optim_create(e->c, p.w, 2, bad[i].opt));
        op_expect_error(e, NULL, MN_ERR_ARG, bad[i].part);
    }
    mn_tensor *twice[2] = {p.w[0], p.w[0]}, *hole[2] = {p.w[0], NULL}, *step[1] = {mn_input(e->c, MN_SHAPE(2), NULL)};
    ck_assert_ptr_null(mn_optim_create(e->c, twice, 2, (mn_optim_opt){0}));
    op_expect_error(e, NULL, MN_ERR_ARG, "tensor 1 (a) is in the list twice");
    ck_assert_ptr_null(mn_optim_create(e->c, hole, 2, (mn_optim_opt){0}));
    op_expect_error(e, NULL, MN_ERR_ARG, "tensor 1 is NULL");
    ck_assert_ptr_null(mn_snapshot_create(e->c, step, 1));
    op_expect_error(e, NULL, MN_ERR_ARG, "snapshot: tensor 0 (without a name) is not an MN_MODEL tensor");
    ck_assert_ptr_null(mn_ema_create(e->c, p.w, 0, 0.9));
    op_expect_error(e, NULL, MN_ERR_ARG, "ema: no tensors");
    ck_assert_ptr_null(mn_ema_create(e->c, p.w, 2, 1));
    op_expect_error(e, NULL, MN_ERR_ARG, "the decay is 1; wanted");
    mn_optim *o = mn_optim_create(e->c, p.w, 2, (mn_optim_opt){0});
    ASSERT_CLOSE(mn_optim_lr(o), 0.001, 0);
    mn_optim_set_lr(o, NAN);
    backward(&p, 0, 0);
    ck_assert_int_eq(mn_optim_step(o), MN_ERR_ARG);
    op_expect_error(e, NULL, MN_ERR_ARG, "the learning rate is nan");
}
START_TEST(test_refused) { for_each_backend(refused); }
END_TEST

START_TEST(test_names) {
    for (int k = MN_SGD; k <= MN_RMSPROP; k++) {
        mn_optim_kind back;
        ck_assert(mn_optim_kind_parse(mn_optim_kind_name((mn_optim_kind)k), &back) && (int)back == k);
    }
    mn_optim_kind none;
    ck_assert(!mn_optim_kind_parse("sgdd", &none) && !mn_optim_kind_parse(NULL, &none));
    ck_assert_ptr_null(mn_optim_kind_name((mn_optim_kind)17));
}
END_TEST

/* ---- schedules ---- */

static void expect_rates(const char *text, const double *want, int n, int per_epoch) {
    mn_schedule s;
    mn_error err = {0};
    ASSERT_OK(mn_schedule_parse(text, &s, &err), &err);
    for (int i = 0; i < n; i++) ASSERT_CLOSE(mn_schedule_lr(&s, 0.1, i, n, per_epoch), want[i], 2e-15);
}
#define RATES(text, per_epoch, ...)                                                                                              \
    expect_rates(text, (double[]){__VA_ARGS__}, sizeof((double[]){__VA_ARGS__}) / sizeof(double), per_epoch)

START_TEST(test_schedules) {
    RATES("constant", 1, 0.1, 0.1, 0.1);
    RATES("constant,warmup=0.5", 1, 0.1 / 4, 0.2 / 4, 0.3 / 4, 0.1, 0.1, 0.1);
    RATES("step,every=2,factor=0.5", 2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.025);
    RATES("cosine", 1, 0.1, 0.05 * (1 + sqrt(0.5)), 0.05, 0.05 * (1 - sqrt(0.5)));
    RATES("cosine,floor=0.2,warmup=0.25", 1, 0.1 / 3, 0.2 / 3, 0.1, 0.02 + 0.04 * (1 + sqrt(0.75)), 0.08, 0.06, 0.04,
          0.02 + 0.04 * (1 - sqrt(0.75)));
    /* PyTorch: CosineAnnealingLR(10, eta_min=0.01), OneCycleLR(0.1, total_steps=20 and 13), StepLR(3, 0.5) */
    RATES("cosine,floor=0.1", 1, 0.1, 0.0977975432332819, 0.0914057647468726, 0.0814503363531613, 0.0689057647468726, 0.055,
          0.0410942352531274, 0.0285496636468387, 0.0185942352531274, 0.0122024567667181);
    RATES("onecycle", 1, 0.004, 0.0131671842700025, 0.0371671842700025, 0.0668328157299975, 0.0908328157299975, 0.1,
          0.0987464006235087, 0.0950484632013474, 0.089091617757105, 0.0811745653949763, 0.0716943001791301, 0.0611262021936289,
          0.0500002, 0.0388741978063711, 0.0283060998208699, 0.0188258346050237, 0.010908782242895, 0.00495193679865263,
          0.00125399937649126, 4e-07);
    RATES("onecycle,rise=0.45", 1, 0.004, 0.0137227450929894, 0.0389521565326555, 0.0694674369742474, 0.0929064075354865,
          0.0998914446484294, 0.0937517044116121, 0.0793004073645411, 0.0592828939933073, 0.0375019295244446, 0.0180952853557525,
          0.00474967872527077, 4e-07);
    RATES("step,every=3,factor=0.5", 1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.0125);
    /* outside of the run, and runs of no length */
    mn_schedule s = {.kind = MN_ONE_CYCLE};
    ASSERT_CLOSE(mn_schedule_lr(&s, 0.1, 99, 20, 1), mn_schedule_lr(&s, 0.1, 19, 20, 1), 0);
    for (int total = 0; total < 4; total++)
        for (int kind = MN_CONSTANT; kind <= MN_PLATEAU; kind++) {
            double lr = mn_schedule_lr(&(mn_schedule){.kind = (mn_schedule_kind)kind}, 0.1, 0, total, 0);
            ck_assert_msg(lr > 0 && lr <= 0.1, "kind %d, total %d: %g", kind, total, lr);
        }
}
END_TEST

/* ReduceLROnPlateau(patience=2, factor=0.5) */
START_TEST(test_plateau) {
    const double loss[] = {1.0, 0.9, 0.9, 0.95, 0.91, 0.89995, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8, 0.7, NAN, 0.71};
    const double want[] = {0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.025, 0.025, 0.025, 0.025, 0.025, 0.025};
    mn_schedule s;
    mn_error err = {0};
    ASSERT_OK(mn_schedule_parse("plateau,patience=2,factor=0.5", &s, &err), &err);
    ASSERT_CLOSE(mn_schedule_lr(&s, 0.1, 0, 100, 10), 0.1, 0);
    for (int i = 0; i < 15; i++) {
        mn_schedule_epoch(&s, loss[i]);
        ASSERT_CLOSE(mn_schedule_lr(&s, 0.1, i, 100, 10), want[i], 1e-17);
    }
}
END_TEST

START_TEST(test_schedule_words) {
    static const struct {
        const char *text, *part;
    } bad[] = {{"", "there is no schedule \"\""},
               {"cosin", "wanted constant, step, cosine, onecycle or plateau"},
               {"cosine,every=3", "schedule cosine has no option \"every\"; it takes: warmup, floor"},
               {"cosine,", "schedule cosine has no option \"\""},
               {"step,factor", "factor is \"\"; wanted a number from"},
               {"step,factor=", "factor is \"\""},
               {"step,factor=2", "factor is \"2\""},
               {"step,every=1.5", "wanted a whole number"},
               {"step,factor=0.5x", "\"0.5x\""},
               {"onecycle,rise=nan", "rise is \"nan\""},
               {"plateau,patience=-1", "patience is \"-1\""},
               {"constant,warmup=1", "wanted a number from 0 to 0.9"},
               {"cosine,0123456789012345678901234567890123456789012345678901234567890123456789=1", "has 72 characters"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mn_error err = {0};
        mn_schedule s;
        ck_assert_int_eq(mn_schedule_parse(bad[i].text, &s, &err), MN_ERR_ARG);
        ck_assert_msg(strstr(err.text, bad[i].part) != NULL, "\"%s\" gave: %s", bad[i].text, err.text);
    }
    mn_schedule s;
    ck_assert_int_eq(mn_schedule_parse("cosine,warmup=0.05,floor=0.01", &s, NULL), MN_OK);
    ck_assert(s.kind == MN_COSINE && s.warmup == 0.05 && s.floor == 0.01);
    ck_assert_int_eq(mn_schedule_parse("plateau,patience=7,threshold=0.01", &s, NULL), MN_OK);
    ck_assert(s.kind == MN_PLATEAU && s.patience == 7 && s.threshold == 0.01);
}
END_TEST

/* ---- early stopping, snapshots, averages ---- */

START_TEST(test_early_stop) {
    const double value[] = {NAN, 1.0, 0.8, 0.79, NAN, 0.7, 0.75, 0.72, 0.71};
    const bool best[] = {false, true, true, false, false, true, false, false, false};
    mn_early_stop e = {.patience = 3, .min_delta = 0.05};
    bool stop = true;
    for (int i = 0; i < 9; i++) {
        ck_assert_msg(mn_early_stop_update(&e, i, value[i], &stop) == best[i], "epoch %d", i);
        ck_assert_msg(stop == (i == 8), "epoch %d", i);
    }
    ck_assert(e.best == 0.7 && e.best_epoch == 5);
    mn_early_stop never = {0};
    for (int i = 0; i < 50; i++) {
        mn_early_stop_update(&never, i, 1.0 + i, &stop);
        ck_assert(!stop);
    }
    ck_assert_int_eq(never.best_epoch, 0);
}
END_TEST

/* More parameters than one list of a launch holds, of sizes around a block's share: sgd with momentum and
 * clipping by norm, against a loop. The loss is sum w^2, the gradient 2w. */
static void many_parameters(op_env *e) {
    enum { N = 170, STEPS = 2 };
    static const int64_t size[] = {1, 3, 33};
    mn_tensor *w[N];
    double *want[N], *v[N], lr = 0.05, momentum = 0.9, clip = 3;
    for (int i = 0; i < N; i++) {
        int64_t count = i == 20 ? 4096 : i == 21 ? 8193 : size[i % 3];
        w[i] = op_input(e, i, MN_SHAPE(count), -1, 1);
        want[i] = op_values(w[i]);
        v[i] = calloc((size_t)count, sizeof(double));
    }
    mn_optim *o = mn_optim_create(e->c, w, N, (mn_optim_opt){.kind = MN_SGD, .lr = lr, .momentum = momentum, .clip_norm = clip});
    for (int t = 0; t < STEPS; t++) {
        mn_step_begin(e->c);
        mn_tensor *loss = mn_sum(mn_square(w[0]));
        for (int i = 1; i < N; i++) loss = mn_add(loss, mn_sum(mn_square(w[i])));
        ASSERT_OK(mn_backward(e->c, loss), mn_context_error(e->c));
        ASSERT_OK(mn_optim_step(o), mn_context_error(e->c));
        double squares = 0;
        for (int i = 0; i < N; i++)
            for (int64_t k = 0; k < w[i]->count; k++) squares += 4 * want[i][k] * want[i][k];
        ASSERT_CLOSE(mn_optim_grad_norm(o), sqrt(squares), 1e-5 * sqrt(squares));
        double factor = clip / (sqrt(squares) + 1e-6);
        for (int i = 0; i < N; i++)
            for (int64_t k = 0; k < w[i]->count; k++) {
                double g = factor * 2 * want[i][k];
                v[i][k] = momentum * v[i][k] + g;
                want[i][k] -= lr * v[i][k];
            }
    }
    for (int i = 0; i < N; i++) {
        op_expect(e, w[i], w[i]->shape, want[i]);
        free(want[i]), free(v[i]);
    }
}
START_TEST(test_many_parameters) { for_each_backend(many_parameters); }
END_TEST

static void snapshots(op_env *e) {
    problem p = problem_create(e->c);
    mn_snapshot *s = mn_snapshot_create(e->c, p.w, 2);
    double first = mn_item(p.w[1], 4);
    mn_fill(p.w[1], 9);
    ASSERT_CLOSE(mn_item(mn_snapshot_tensor(s, 1), 4), first, 0);
    ASSERT_OK(mn_snapshot_restore(s), mn_context_error(e->c));
    ASSERT_CLOSE(mn_item(p.w[1], 4), first, 0);
    mn_fill(p.w[0], 2);
    ASSERT_OK(mn_snapshot_take(s), mn_context_error(e->c));
    mn_fill(p.w[0], 3);
    ASSERT_OK(mn_snapshot_restore(s), mn_context_error(e->c));
    ASSERT_CLOSE(mn_item(p.w[0], 0), 2, 0);
    ck_assert_ptr_null(mn_snapshot_tensor(s, 2));
}
START_TEST(test_snapshots) { for_each_backend(snapshots); }
END_TEST

/* avg after each update, by hand: d = 0.1, 2/11, 3/12, then 0.3 (the decay) */
static void averages(op_env *e) {
    mn_tensor *w = mn_parameter(e->c, "w", MN_SHAPE(3));
    mn_fill(w, 1);
    mn_ema *ema = mn_ema_create(e->c, &w, 1, 0.3);
    const double d[] = {0.1, 2.0 / 11, 0.25, 0.3, 0.3};
    double want = 1;
    for (int i = 0; i < 5; i++) {
        mn_fill(w, i * i);
        want = d[i] * want + (1 - d[i]) * i * i;
        ASSERT_OK(mn_ema_update(ema), mn_context_error(e->c));
        ASSERT_CLOSE(mn_item(mn_ema_tensor(ema, 0), 2), want, e->tolerance * 20);
    }
    ck_assert_int_eq(mn_ema_updates(ema), 5);
    double average = mn_item(mn_ema_tensor(ema, 0), 1);
    ASSERT_OK(mn_ema_swap(ema), mn_context_error(e->c));
    ck_assert(mn_item(w, 1) == average && mn_item(mn_ema_tensor(ema, 0), 1) == 16);
    ASSERT_OK(mn_ema_swap(ema), mn_context_error(e->c));
    ck_assert(mn_item(w, 1) == 16 && mn_item(mn_ema_tensor(ema, 0), 1) == average);
    mn_ema_set_updates(ema, 0); /* the beginning again */
    mn_fill(w, 0);
    ASSERT_OK(mn_ema_update(ema), mn_context_error(e->c));
    ASSERT_CLOSE(mn_item(mn_ema_tensor(ema, 0), 0), 0.1 * average, e->tolerance * 20);
}
START_TEST(test_averages) { for_each_backend(averages); }
END_TEST

/* ---- out of memory ---- */

static mn_status step_and_averages(void *unused, mn_error *err) {
    (void)unused;
    mn_context *c = mn_context_create(&(mn_context_opt){.threads = 1}, err);
    if (!c) return err->status;
    mn_tensor *w = mn_parameter(c, "w", MN_SHAPE(70000)), *dy = mn_tensor_create(c, MN_STEP, MN_F32, MN_SHAPE(70000));
    if (dy) mn_fill(dy, 1);
    mn_optim *o = w ? mn_optim_create(c, &w, 1, (mn_optim_opt){.kind = MN_ADAM, .clip_norm = 1}) : NULL;
    bool all = o && mn_ema_create(c, &w, 1, 0.9) && mn_snapshot_create(c, &w, 1);
    if (all && dy && mn_backward_from(c, mn_square(w), dy) == MN_OK && mn_optim_state(o, 2, NULL)) mn_optim_step(o);
    *err = *mn_context_error(c);
    mn_context_destroy(c);
    return err->status;
}
START_TEST(test_out_of_memory) { ck_assert_int_gt(test_every_allocation(step_and_averages, NULL), 5); }
END_TEST

TEST_SUITE(optim, test_against_pytorch, test_many_parameters, test_per_parameter, test_passed_over, test_resumed,
           test_not_a_number, test_threads, test_refused, test_names, test_schedules, test_plateau, test_schedule_words,
           test_early_stop, test_snapshots, test_averages, test_out_of_memory)
