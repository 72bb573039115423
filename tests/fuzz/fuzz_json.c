/* Network files, and the model_config of a Keras file: the same bytes as both. What can be read is built, run, and
 * written. */
#include "data/formats/model_config.h"
#include "tests/fuzz/json_tree.h"
#include "tests/fuzz/keras_seeds.h"

/* Network files with ' for "; the rest of the seeds are Keras's. */
static const char *const network[] = {
    "{'name':'n','input':[9,10,2],'layers':[{'class':'Conv2D','filters':4,'kernel_size':[3,2],'strides':2,'padding':'same','"
    "activation':'relu',"
    "'name':'a'},{'class':'BatchNormalization'},{'class':'ZeroPadding2D','padding':[[1,2],[0,1]]},{'class':'MaxPooling2D','pool_"
    "size':2},"
    "{'class':'SeparableConv2D','filters':4,'kernel_size':3,'padding':'same'},{'class':'Reshape','target_shape':[2,-1]},"
    "{'class':'LSTM','units':3},{'class':'Heads'}]}",
    "{'layers':[{'class':'InputLayer','name':'i','shape':[4,6,6,2]},{'class':'Conv2D','filters':2,'kernel_size':2,'time_"
    "distributed':true,'name':'c'},"
    "{'class':'ConvLSTM2D','filters':2,'kernel_size':3,'padding':'same','name':'r'},{'class':'Scale','name':'s'},{'class':'Clip',"
    "'max_value':6},"
    "{'class':'Multiply','inputs':['s','r'],'name':'m'},{'class':'Slice','axis':-1,'start':1,'length':1},{'class':'UpSampling2D',"
    "'size':[2,1]},"
    "{'class':'Padding2D','padding':1,'value':-3},{'class':'GlobalAveragePooling2D','name':'g'},{'class':'Dense','units':'"
    "classes'}],'outputs':['g']}",
};

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
    tree_random = seed;
    unsigned k = tree_next() % (KERAS_SEEDS + COUNT(network));
    const char *text = k < KERAS_SEEDS ? keras_seed[k] : network[k - KERAS_SEEDS];
    if (strlen(text) <= max && (size < 8 || tree_next() % 256 == 0)) {
        char *quoted = with_quotes(text);
        memcpy(data, quoted, size = strlen(text));
        free(quoted);
    }
    return tree_mutate(data, size, max, text);
}

static void check(mn_context *c, mn_model *m) {
    mn_error err = {0};
    if (!m && !mn_context_error(c)->text[0]) abort(); /* a refusal without a sentence */
    if (m) fuzz_run(m);
    char *text = m && !mn_context_error(c)->status ? mn_model_to_json(m, &err) : NULL;
    mn_free(text);
    mn_context_destroy(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const mn_context_opt opt = {.threads = 1, .memory_limit = 64 << 20};
    mn_error err = {0};
    char *text = mn_alloc(size + 1);
    memcpy(text, data, size);
    text[size] = 0;
    mn_context *c = mn_context_create(&opt, NULL);
    check(c, mn_model_from_json(c, text, size, NULL));
    c = mn_context_create(&opt, NULL);
    mn_model *m = mn__config_read(c, text, &err);
    if (!m && !err.text[0]) abort();
    if (m)
        check(c, m);
    else
        mn_context_destroy(c);
    mn_free(text);
    return 0;
}
