/* Small Keras models, one of each kind that the reader knows, to begin from: the text of model_config with ' for ". */
#ifndef MIEN_TESTS_KERAS_SEEDS_H
#define MIEN_TESTS_KERAS_SEEDS_H

#define PLAIN(class, name, config) "{'class_name':'" class "','config':{'name':'" name "'" config "}}"
#define LAYER(class, name, config, from)                                                                                         \
    "{'class_name':'" class "','name':'" name "','config':{'name':'" name "'" config "},'inbound_nodes':[" from "]}"
#define FROM(name) "[['" name "',0,0,{}]]"
#define FROM_TWO(a, b) "[['" a "',0,0,{}],['" b "',0,0,{}]]"
#define INPUT(name, shape) LAYER("InputLayer", name, ",'batch_input_shape':[null," shape "]", "")
#define ENDS(in, out) ",'input_layers':[['" in "',0,0]],'output_layers':[['" out "',0,0]]"
#define SEQUENTIAL(layers) "{'class_name':'Sequential','config':{'name':'s','layers':[" layers "]}}"
#define FUNCTIONAL(layers, ends) "{'class_name':'Functional','config':{'name':'f','layers':[" layers "]" ends "}}"

static const char *const keras_seed[] = {
    /* the field's layers in a row */
    SEQUENTIAL(
        PLAIN("InputLayer", "i", ",'batch_input_shape':[null,9,10,3]") "," PLAIN(
            "Rescaling", "re",
            ",'scale':0.5,'offset':-1") "," PLAIN("ZeroPadding2D", "z",
                                                  ",'padding':[[1,0],[2,1]]") "," PLAIN("Conv2D", "c",
                                                                                        ",'filters':4,'kernel_size':[3,2],'"
                                                                                        "strides':[2,1],"
                                                                                        "'padding':'same','data_format':'"
                                                                                        "channels_last','dilation_rate':[1,1],'"
                                                                                        "groups':1,'activation':'relu','use_bias'"
                                                                                        ":false") "," PLAIN("BatchNormalization",
                                                                                                            "b", ",'axis':[3],'epsilon':0.001,'center':true,'scale':true") "," PLAIN("SeparableConv2D",
                                                                                                                                                                                     "sc", ",'filters':3,'kernel_size':[3,3],'depth_multiplier':2,'padding':'same'") "," PLAIN("DepthwiseConv2D", "dc", ",'kernel_size':[2,2],'depth_multiplier':2,'activation':'elu'") "," PLAIN("MaxPooling2D", "mp", ",'pool_size':[2,2],'strides':[2,2],'padding':'same'") "," PLAIN("AveragePooling2D", "ap", ",'pool_size':[1,2],'strides':null,'padding':'valid'") "," PLAIN("UpSampling2D",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                    "u",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                    ",'size':[2,1]") "," PLAIN("Dropout", "dr", ",'rate':0.5") "," PLAIN("Flatten",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         "fl",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         "") "," PLAIN("Reshape",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       "rs",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                       ",'target_shape':[-1]") "," PLAIN("Dense",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         "d",
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                         ",'units':3,'activation':'softmax'")),
    /* Keras 2.1: the layers alone, the input in the first; recurrent layers */
    "{'class_name':'Sequential','config':[{'class_name':'TimeDistributed','config':{'name':'t','batch_input_shape':[null,3,6,6,1]"
    ",'layer':" PLAIN("Conv2D", "c", ",'filters':2,'kernel_size':[2,2]") "}}," PLAIN(
        "ConvLSTM2D", "r",
        ",'filters':2,'kernel_size':[2,2],"
        "'recurrent_activation':'hard_sigmoid','return_sequences':true,'padding':"
        "'same'") ","
                  "{'class_name':'TimeDistributed','config':{'name':'tf','layer'"
                  ":" PLAIN("Flatten", "fl", "") "}}," PLAIN("LSTM", "l",
                                                             ",'units':3,'unit_forget_bias':true,'return_sequences':"
                                                             "true,'dropout':0.0") "," PLAIN("Dense", "td",
                                                                                             ",'units':2") "," PLAIN("LS"
                                                                                                                     "T"
                                                                                                                     "M",
                                                                                                                     "l"
                                                                                                                     "2",
                                                                                                                     ",'"
                                                                                                                     "un"
                                                                                                                     "it"
                                                                                                                     "s'"
                                                                                                                     ":2"
                                                                                                                     ",'"
                                                                                                                     "re"
                                                                                                                     "tu"
                                                                                                                     "rn"
                                                                                                                     "_s"
                                                                                                                     "eq"
                                                                                                                     "ue"
                                                                                                                     "nc"
                                                                                                                     "es"
                                                                                                                     "':"
                                                                                                                     "fa"
                                                                                                                     "ls"
                                                                                                                     "e") "]}",
    /* branches, joined and as two outputs, one of them a head of ours */
    FUNCTIONAL(
        INPUT("i", "6,5,2") "," LAYER("Conv2D", "a", ",'filters':2,'kernel_size':[1,1]", FROM("i")) "," LAYER("Add", "s", "", FROM_TWO("i", "a")) "," LAYER(
            "Concatenate", "k",
            ",'axis':-1",
            FROM_TWO(
                "s",
                "a")) "," LAYER("Multiply", "m", "",
                                FROM_TWO(
                                    "k",
                                    "k2")) "," LAYER("ReLU", "k2", ",'max_value':6.0",
                                                     FROM(
                                                         "k")) "," LAYER("GlobalAveragePooling2D", "g", "",
                                                                         FROM(
                                                                             "m")) "," LAYER("Dense", "d", ",'units':3",
                                                                                             FROM(
                                                                                                 "g")) "," LAYER("Activation",
                                                                                                                 "d_softmax",
                                                                                                                 ",'activation':'"
                                                                                                                 "softmax'",
                                                                                                                 FROM(
                                                                                                                     "d")) "," LAYER("Flatten",
                                                                                                                                     "l",
                                                                                                                                     "",
                                                                                                                                     FROM(
                                                                                                                                         "m")) "," LAYER("BatchNormalization",
                                                                                                                                                         "n",
                                                                                                                                                         "",
                                                                                                                                                         FROM(
                                                                                                                                                             "l")) "," LAYER("Dense",
                                                                                                                                                                             "e",
                                                                                                                                                                             ",'units':1,'activation':'sigmoid'",
                                                                                                                                                                             FROM(
                                                                                                                                                                                 "n")),
        ",'input_layers':[['i',0,0]],'output_layers':[['d_softmax',0,0],['e',0,0]]"),
    /* models inside models */
    FUNCTIONAL(INPUT("x", "4,4,2") "," LAYER(
                   "Functional", "front",
                   ",'layers':[" INPUT("in", "4,4,2") "," LAYER(
                       "Conv2D", "c", ",'filters':2,'kernel_size':2",
                       FROM("in")) ","
                                   "{'class_name':'Sequential','name':'deep','config':{'name':'deep','layers':"
                                   "[" PLAIN("InputLayer", "di", ",'batch_input_shape':[null,3,3,2]") "," PLAIN(
                                       "BatchNormalization", "b",
                                       "") "," PLAIN("LeakyReLU", "lr",
                                                     ",'alpha':0.2") "]},'inbound_nodes':[" FROM("c") "]}]" ENDS("in", "dee"
                                                                                                                       "p"),
                   FROM("x")) "," LAYER("Flatten", "l", "", FROM("front")) "," LAYER("Dense", "d", ",'units':2", FROM("l")),
               ENDS("x", "d")),
    /* a model first in a model; activations that are layers, or words with other numbers than ours */
    SEQUENTIAL("{'class_name':'Sequential','config':{'name':'q','layers':[" PLAIN(
        "Conv2D", "c",
        ",'batch_input_shape':[null,5,5,1],'filters':2,"
        "'kernel_size':[3,3],'activation':{'class_name'"
        ":'LeakyReLU','config':{'name':'a','negative_"
        "slope':0.3}}") "]}}," PLAIN("Conv2D", "c2",
                                     ",'filters':2,'kernel_size':[1,1],'activation':'leaky_relu'") "," PLAIN("Flatten", "fl",
                                                                                                             "") "," PLAIN("Dens"
                                                                                                                           "e",
                                                                                                                           "d",
                                                                                                                           ",'"
                                                                                                                           "units"
                                                                                                                           "':2,'"
                                                                                                                           "activ"
                                                                                                                           "ation"
                                                                                                                           "':{'"
                                                                                                                           "class"
                                                                                                                           "_name"
                                                                                                                           "':'"
                                                                                                                           "ReLU'"
                                                                                                                           ",'"
                                                                                                                           "confi"
                                                                                                                           "g':{'"
                                                                                                                           "max_"
                                                                                                                           "value"
                                                                                                                           "':6."
                                                                                                                           "0,'"
                                                                                                                           "negat"
                                                                                                                           "ive_"
                                                                                                                           "slope"
                                                                                                                           "':0."
                                                                                                                           "0,'"
                                                                                                                           "thres"
                                                                                                                           "hold'"
                                                                                                                           ":0.0}"
                                                                                                                           "}") "," PLAIN("Softmax",
                                                                                                                                          "o",
                                                                                                                                          ",'axis':-1")),
    /* Keras 3 */
    "{'module':'keras','class_name':'Functional','config':{'name':'f','layers':[{'class_name':'InputLayer','config':{'batch_"
    "shape':[null,4,3],"
    "'name':'i'},'name':'i','inbound_nodes':[]},{'module':'keras.layers','class_name':'LSTM','config':{'name':'l','units':2,'"
    "kernel_initializer':"
    "{'module':'keras.initializers','class_name':'Orthogonal','config':{}}},'name':'l','inbound_nodes':[{'args':[{'class_name':'_"
    "_keras_tensor__',"
    "'config':{'shape':[null,4,3],'keras_history':['i',0,0]}}],'kwargs':{'mask':null}}]},{'class_name':'Dense','config':{'name':'"
    "d','units':2},"
    "'name':'d','inbound_nodes':[{'args':[{'class_name':'__keras_tensor__','config':{'keras_history':['l',0,0]}}],'kwargs':{}}]}]"
    ","
    "'input_layers':[['i',0,0]],'output_layers':['d',0,0]}}",
    /* two inputs; a row that another layer turns into a picture */
    FUNCTIONAL(
        INPUT("a", "3,3,1") "," INPUT("b", "4") "," LAYER("Flatten", "l", "", FROM("a")) "," LAYER(
            "Dense", "h", ",'units':4,'activation':'tanh'",
            FROM("b")) "," LAYER("Concatenate", "k", "",
                                 FROM_TWO(
                                     "h",
                                     "l")) "," LAYER("Dense", "w", ",'units':6",
                                                     FROM("k")) "," LAYER("Reshape", "p", ",'target_shape':[2,3,1]",
                                                                          FROM("w")) "," LAYER("DepthwiseConv2D", "dc",
                                                                                               ",'kernel_size':[2,1]",
                                                                                               FROM("p")) "," LAYER("GlobalAverag"
                                                                                                                    "ePooling2D",
                                                                                                                    "g", "",
                                                                                                                    FROM("dc")),
        ",'input_layers':[['a',0,0],['b',0,0]],'output_layers':[['g',0,0]]"),
};
enum { KERAS_SEEDS = sizeof keras_seed / sizeof *keras_seed };

#define HEAD(name, classes) "{'name':'" name "','classes':[" classes "],'temperature':1.5,'unsure':0.3}"
static const char *const info_seed[] = {
    "",
    "{'preprocess':{'pipeline':'margin=0.2,equalize','channels':3,'height':9,'width':10,'grey':'mean','range':[-1,1],'mean':[0,0,"
    "0],'deviation':[0,0,0],"
    "'standardize':false,'standardize_eps':0},'heads':[" HEAD("d", "'a','b','c'") "]}",
    "{'preprocess':{'channels':2,'height':6,'width':5,'grey':'bt601','range':[0,1],'mean':[0.1,0,0],'deviation':[1,1,1],'"
    "standardize':true,"
    "'standardize_eps':8,'steps':2},'heads':[" HEAD("d", "'x','y','z'") ",{'name':'e','classes':['p'],'plain':true}]}",
};
enum { INFO_SEEDS = sizeof info_seed / sizeof *info_seed };
#endif
