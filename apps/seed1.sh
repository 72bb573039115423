#!/bin/sh
# make seed1: the recipe of S1 ("Emotion and Gender Classification using CNN", a real-time CNN on CK+ and AffectNet) as literally
# as it is given, on the data at hand; writes docs/results/seed1.md. apps/seed.sh says what can be set.
. "$(dirname "$0")/seed.sh"
begin seed1 docs/results/seed1.md
find_data
recipe="--net seed1 --optimizer sgd --lr 0.001 --momentum 0.9 --batch 32 --augment default --normalize unit --threads $threads"

# shellcheck disable=SC2086  # the recipe is a list of words
{
once ckplus-train "$mien" train --data "$ckplus" --classes 6 --labels emotion --pipeline ellipse $recipe --size "$size" --epochs "$epochs" --out "$out/ckplus.h5"
once ckplus "$mien" eval --model "$out/ckplus.h5" --data "$ckplus" --threads "$threads"
once ckplus-split "$mien" doctor --data "$ckplus" --show-inflation --threads "$threads" || true
once wild-train "$mien" train --data "$fer" --data "$utk" --classes 6 $recipe --size "$size" --epochs "$wild_epochs" --out "$out/wild.h5"
once wild-emotion "$mien" eval --model "$out/wild.h5" --data "$fer" --threads "$threads"
once wild-gender "$mien" eval --model "$out/wild.h5" --data "$utk" --threads "$threads"
once ablate "$mien" ablate --data "$ckplus" --net seed1 --seeds "$ablate_seeds" --drop BatchNormalization --drop Dense --drop last:Conv2D \
    --out "$out/ablate" -- --classes 6 --labels emotion --lr 0.001 --augment default --size "$ablate_size" --epochs "$ablate_epochs" --threads "$threads"
once speed "$mien" bench --net seed1 --size "$size" --mode infer --batch 1 --threads 1
}

cat > "$report" <<END
# S1's recipe, run as it is given

S1: "Emotion and Gender Classification using CNN", evaluated on CK+ and AffectNet. $(settings seed1)

## Claimed and obtained

| | claimed | obtained, held-out people or rows (95 %) | logistic regression on the same pixels |
|---|---|---|---|
| expression, CK+, six classes | 91.35 | $(score ckplus emotion) | $(baseline ckplus emotion) |
| gender, CK+ | 97.58 | not possible: CK+ has no gender labels | |
| expression in the wild: AffectNet; here FER2013, six classes | 68.46 | $(score wild-emotion emotion) | $(baseline wild-emotion emotion) |
| gender in the wild: AffectNet; here UTKFace | 96.73 | $(score wild-gender gender) | $(baseline wild-gender gender) |
| time an image | 30 ms (GTX 1080Ti) | see below, one processor, without detection | |

Percent right. The CK+ row is a split by person. S1 does not name its split; the last section shows what a split by picture would give.

## The recipe

| S1 says | here |
|---|---|
| SGD, learning rate 0.001, momentum 0.9 | the same |
| 50 epochs, early "pausing" | $epochs epochs on CK+, $wild_epochs in the wild; patience, not given: 10 epochs without a better validation loss; the best epoch's weights are kept |
| batch 32 | the same |
| data augmentation, not named | \`default\`: flip, turns of 12 degrees, shifts, zoom, light, erasing |
| uniform size, not given | $size x $size |
| grey or RGB | grey |
| pixel values 0 to 1 | the same |
| convolutions, pooling, fully connected, batch norm; numbers not given | the network \`seed1\`: three blocks of two convolutions, 1.47 M parameters at 48 x 48 with seven classes |
| CK+: background removed, faces aligned | CK+48's crops are aligned; an ellipse masks the background |
| AffectNet: faces detected and cropped | not at hand; FER2013's and UTKFace's crops |
| six emotions, two genders | \`--classes 6\`; in the wild one network with two heads, each picture trains the head it has a label for |
| test sets, not named | CK+: a tenth of the people; FER2013: PublicTest; UTKFace: a tenth, copies kept together |

$(tidy < "$out/ckplus-train.txt" | sed -n 's/^best  */Training on CK+ kept: /p')
$(tidy < "$out/wild-train.txt" | sed -n 's/^best  */Training on both in the wild kept: /p')

## Ablation: batch norm, fully connected layer, a convolution

S1: all three are "important". Validation rows of CK+ by person, $ablate_seeds seeds, $ablate_epochs epochs at $ablate_size x $ablate_size:

$(block ablate)

A difference whose interval holds 0 is not shown to exist. With a learning rate of 0.001 and this few epochs, a network without
batch norm has mostly not learnt yet: the row says as much about the recipe's speed as about the part.

## Time

$(block speed)

## What cannot be reproduced, and why

- CK+ with gender: neither CK+ nor AffectNet ships gender labels, and S1 does not say where its labels come from.
- AffectNet: access is by request; \`mien train --data affectnet:DIR\` runs this recipe where it is. FER2013 is another set: the numbers
  cannot be compared, only the recipe.
- The split: a split of CK+ by picture puts nearly the same frame on both sides. What \`mien doctor --show-inflation\` says about it:

$(block ckplus-split | head -n 60)

## Scores in full

$(block ckplus)

$(block wild-emotion)

$(block wild-gender)
END
printf 'wrote %s after %d s\n' "$report" $(($(date +%s) - started))
