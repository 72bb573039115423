#!/bin/sh
# make seed2: the recipe of S2 ("Facial Emotion Recognition and Gender Detection Using Deep Learning", 3 convolutions, 2
# max-poolings, 2 fully connected layers on a data set from Kaggle) on FER2013, and the variations that it reports of others;
# writes docs/results/seed2.md. apps/seed.sh says what can be set.
. "$(dirname "$0")/seed.sh"
begin seed2 docs/results/seed2.md
find_data
recipe="--optimizer sgd --momentum 0.9 --lr 0.01 --batch 64 --normalize unit --threads $threads"
nets=$(dirname "$0")/../layers/nets

# A network of the given layers: c32 a convolution, m and a max- and average pooling, d256 a fully connected layer, o dropout.
net() { # NAME LAYER...
    name=$1
    shift
    {
        printf '{"name": "%s", "input": ["height", "width", "channels"], "layers": [\n' "$name"
        flat=
        for layer in "$@"; do
            case $layer in
            c*) printf ' {"class": "Conv2D", "filters": %s, "kernel_size": 3, "padding": "same", "activation": "relu"},\n' "${layer#c}" ;;
            m) printf ' {"class": "MaxPooling2D", "padding": "same"},\n' ;;
            a) printf ' {"class": "AveragePooling2D", "padding": "same"},\n' ;;
            d*) [ -n "$flat" ] || printf ' {"class": "Flatten"},\n'
                flat=1
                printf ' {"class": "Dense", "units": %s, "activation": "relu"},\n' "${layer#d}" ;;
            o) printf ' {"class": "Dropout", "rate": 0.5},\n' ;;
            esac
        done
        [ -n "$flat" ] || printf ' {"class": "Flatten"},\n'
        printf ' {"class": "Heads"}\n]}\n'
    } > "$out/$name.json"
}
net conv2 c32 m c64 m d256 o
net conv3 c32 m c64 m c128 d256 o
net conv4 c32 m c64 m c128 c128 d256 o
net conv5 c32 c32 m c64 c64 m c128 d256 o
net pool1 c32 c64 m c128 d256 o
net pool3 c32 m c64 m c128 m d256 o
net pool3fc1 c32 m c64 m c128 m
net average c32 a c64 a c128 d256 o

# Trials of one network each on the validation rows; the same seed, so that all see the same split.
try() { # NAME NET...
    label=$1
    shift
    list=$(printf '%s,' "$@")
    # shellcheck disable=SC2086  # the recipe is a list of words
    once "$label" "$mien" tune --data "$fer" --net "${list%,}" --search grid --epochs "$ablate_epochs" --log "$out/tune.jsonl" -- \
        --classes 6n $recipe --size "$ablate_size"
}

# shellcheck disable=SC2086
{
once train "$mien" train --data "$fer" --data "$utk" --classes 6n --net seed2 $recipe --size "$size" --epochs "$epochs" --out "$out/seed2.h5" --log "$out/seed2.jsonl" --plot "$out/seed2.svg"
once emotion "$mien" eval --model "$out/seed2.h5" --data "$fer" --threads "$threads"
once gender "$mien" eval --model "$out/seed2.h5" --data "$utk" --threads "$threads"
try depth "$out/conv2.json" "$out/conv3.json" "$out/conv4.json" "$out/conv5.json"
try pooling "$out/pool1.json" "$out/conv3.json" "$out/pool3.json" "$out/pool3fc1.json" "$out/average.json"
try shapes "$nets/venturi.json" "$nets/rectangular.json" "$nets/triangular.json"
try kinds logreg lstm-rows seed2
once dropout "$mien" tune --data "$fer" --net seed2 --dropout 0,0.25,0.5 --search grid --epochs "$ablate_epochs" --log "$out/tune.jsonl" -- \
    --classes 6n $recipe --size "$ablate_size"
}

# The lines of a search, best first, as a table with names for settings.
table() { # NAME
    [ -e "$out/$1.txt" ] || { echo "Not run."; return; }
    printf '| validation, %% right (95 %%) | an epoch | network |\n|---|---|---|\n'
    sed -n '/^best first/,/^winner/p' "$out/$1.txt" | tidy |
        sed -n 's/^ *[0-9]* *\([0-9.]*\) *(\( *[0-9.]*- *[0-9.]*\)) *[0-9]* *\([0-9.]*s\) *\(.*\)/| \1 (\2) | \3 | \4 |/p' |
        sed -e 's#OUT/##' -e 's#\.j[son]* |# |#' -e 's#net [^ ]*nets/#net #'
}

cat > "$report" <<END
# S2's recipe, run as it is given

S2: three convolutions, two max-poolings, two fully connected layers, softmax. $(settings seed2)

## Claimed and obtained

| | claimed | obtained on test rows (95 %) | logistic regression on the same pixels |
|---|---|---|---|
| expression, six classes, FER2013 | no number of its own; cites 89.98 (Pathar et al.) | $(score emotion emotion) | $(baseline emotion emotion) |
| gender, UTKFace | no number of its own; cites 96 (Mane et al., 500 k images), 93.22 (Zhou et al., Adience) | $(score gender gender) | $(baseline gender gender) |

89.98 % lies 13 points above every audited result on FER2013 (ensembles reach 76.8), and its split is not described: it is not a target.

## The recipe

| S2 says | here |
|---|---|
| data from Kaggle | FER2013 (expression) and UTKFace (gender): one network, two heads |
| training, validation, test | FER2013: PublicTest is the test, validation is carved from Training; UTKFace: a tenth each. Copies stay on one side |
| "rescaling the pixel values between 0-255" | 0 to 1: read literally it would change nothing, and values of 0 to 255 do not train at this rate |
| Conv2D and ConvLSTM2D | \`seed2\` on single pictures; ConvLSTM2D needs clips: [clips.md](clips.md) |
| 3 convolutions, 2 max-poolings, 2 fully connected | the same; widths, not given: 32, 64, 128; 256 |
| dropout (an improvement) | 0.5 before the last layer |
| softmax, loss not named | cross-entropy |
| optimiser, rate, batch, epochs: not given | SGD 0.01, momentum 0.9, batch 64, $epochs epochs, the best epoch kept, patience 10 |
| hyper-parameters from validation data | all comparisons below are on validation rows |
| six emotions: neutral, happy, sad, angry, fearful, surprised | \`--classes 6n\` |
| LSTM, logistic regression (LRC) | below: \`lstm-rows\`, \`logreg\` |

$(tidy < "$out/train.txt" | sed -n 's/^best  */Training kept: /p')

## Variations

Validation rows of FER2013, one seed, $ablate_epochs epochs at $ablate_size x $ablate_size, the recipe above. The intervals are one run's (Wilson's):
differences inside them are noise.

### Logistic regression, LSTM over rows, CNN

$(table kinds)

### Depth: two to five convolutions (Pathar et al.)

$(table depth)

### Pooling: how many, which kind; three and one fully connected layer (Refat et al.)

$(table pooling)

### Dropout

$(table dropout)

### Venturi, rectangular, triangular (Verma et al., there on KDEF)

$(table shapes)

## What cannot be reproduced, and why

- S2 gives no result of its own but pictures; there is nothing to compare the first table with.
- KDEF, JAFFE and Adience, on which the cited works report, are not at hand: \`kdef:\`, \`jaffe:\` and \`adience:\` read them, and the shapes
  above then run on KDEF: \`mien tune --data kdef:DIR --net layers/nets/venturi.json,...\`.
- Fine-tuning and feature extraction, named as improvements, are \`mien train --init\` and \`mien embed --probe\` ([training.md](../training.md)).

## Scores in full

$(block emotion)

$(block gender)
END
printf 'wrote %s after %d s\n' "$report" $(($(date +%s) - started))
