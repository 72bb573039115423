#!/bin/sh
# make clips: is a network that remembers better than one that looks at single frames and averages? On drawn clips whose frames
# are ambiguous: a face at rest that moves to CLIP_PEAK percent of an expression, where people differ in how friendly they look
# at rest. Writes docs/results/clips.md. Set CLIPS (of training), CLIP_SEEDS, CLIP_PEAK, SEED_EPOCHS; see apps/seed.sh.
SEED_EPOCHS=${SEED_EPOCHS:-15}
. "$(dirname "$0")/seed.sh"
begin clips docs/results/clips.md
clips=${CLIPS:-700} seeds=${CLIP_SEEDS:-3} peak=${CLIP_PEAK:-60} side=${CLIP_SIZE:-24} frames=8
test_clips=700
shape="frames=$frames,size=$side,peak=$peak"
train="rendered-clips:$clips,$shape,seed=11" test="rendered-clips:$test_clips,$shape,seed=99"
# The same two convolutions before each: a memory over maps, a memory over features, or none.
front='{"class": "Conv2D", "filters": 16, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu", "time_distributed": TD},
 {"class": "Conv2D", "filters": 32, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "relu", "time_distributed": TD},'
strip="{\"name\": \"NAME\", \"input\": [$((frames * side)), $side, 1], \"layers\": [
 {\"class\": \"Reshape\", \"target_shape\": [$frames, $side, $side, 1]},"
{ echo "$strip" | sed s/NAME/convlstm/; echo "$front" | sed s/TD/true/
  echo ' {"class": "ConvLSTM2D", "filters": 32, "kernel_size": 3, "padding": "same"}, {"class": "Flatten"}, {"class": "Heads"}]}'; } > "$out/convlstm.json"
{ echo "$strip" | sed s/NAME/lstm/; echo "$front" | sed s/TD/true/
  echo ' {"class": "Flatten", "time_distributed": true}, {"class": "LSTM", "units": 64}, {"class": "Heads"}]}'; } > "$out/lstm.json"
{ echo "{\"name\": \"frames\", \"input\": [$side, $side, 1], \"layers\": ["; echo "$front" | sed s/TD/false/
  echo ' {"class": "Conv2D", "filters": 32, "kernel_size": 3, "padding": "same", "activation": "relu"}, {"class": "Flatten"}, {"class": "Heads"}]}'; } > "$out/frames.json"

recipe="--labels emotion --optimizer adam --lr 0.002 --batch 32 --normalize image --augment flip --schedule cosine --val 0.15 --test 0 --threads $threads"
seed=0
# shellcheck disable=SC2086  # the recipe is a list of words
while [ $seed -lt "$seeds" ]; do
    for net in convlstm lstm; do
        once $net-$seed-train "$mien" train --data "$train" --net "$out/$net.json" --size $((frames * side))x$side $recipe --epochs "$epochs" --seed $seed --out "$out/$net-$seed.h5"
        once $net-$seed "$mien" eval --model "$out/$net-$seed.h5" --data "$test" --split all --no-baseline --threads "$threads" --predictions "$out/$net-$seed.csv"
    done
    # Each frame is a picture of its own: eight times as many steps an epoch, so a third of the epochs costs more than the others.
    once frames-$seed-train "$mien" train --data "$train,single=1" --net "$out/frames.json" --size $side $recipe --epochs $((epochs / 3)) --seed $seed --out "$out/frames-$seed.h5"
    once frames-$seed "$mien" eval --model "$out/frames-$seed.h5" --data "$test,single=1" --split all --no-baseline --threads "$threads" --predictions "$out/frames-$seed.csv"
    seed=$((seed + 1))
done

# A row a clip: right (1) or wrong (0). HOW: mean (of all frames' probabilities), smooth (as mien predict: p = 0.7 p + 0.3 new, the
# last one counts), last (the last frame alone), clip (one row a clip).
right() { # FILE HOW
    awk -F, -v how="$2" -v frames=$frames '
        NR == 1 { for (i = 1; i <= NF; i++) if ($i ~ /^emotion_p_/) { first = first ? first : i; name[++n] = substr($i, 11) } next }
        { k = (NR - 2) % frames
          for (c = 1; c <= n; c++) {
              v = $(first + c - 1)
              if (how == "clip" || how == "last" || k == 0) p[c] = v
              else p[c] = how == "mean" ? p[c] + v : 0.7 * p[c] + 0.3 * v
          }
          if (how == "clip" || k == frames - 1) {
              best = 1
              for (c = 2; c <= n; c++) if (p[c] > p[best]) best = c
              print name[best] == $2
          } }' "$1"
}
seed=0
while [ $seed -lt "$seeds" ]; do
    for net in convlstm lstm; do right "$out/$net-$seed.csv" clip > "$out/$net-$seed.right"; done
    for how in mean smooth last; do right "$out/frames-$seed.csv" $how > "$out/$how-$seed.right"; done
    seed=$((seed + 1))
done

# Mean over the seeds, and a 95 % interval over people: clips come seven a person, so people are what is drawn anew (2000 times).
row() { # NAME TEXT
    paste "$out/$1"-?.right "$out/smooth"-?.right | awk -v text="$2" -v half="$seeds" '
        { person = int((NR - 1) / 7); if (person + 1 > people) people = person + 1
          for (i = 1; i <= half; i++) { a[person] += $i; b[person] += $(i + half) }
          n[person] += half; A += $0 == "" ? 0 : 0 }
        END { srand(1)
              for (t = 0; t < 2000; t++) { x = y = m = 0
                  for (k = 0; k < people; k++) { r = int(rand() * people); x += a[r]; y += b[r]; m += n[r] }
                  one[t] = 100 * x / m; two[t] = 100 * (x - y) / m }
              for (k = 0; k < people; k++) { X += a[k]; Y += b[k]; M += n[k] }
              printf "| %s | %.1f (%.1f to %.1f) | %+.1f (%+.1f to %+.1f) |\n", text, 100 * X / M, quantile(one, 0.025), quantile(one, 0.975), 100 * (X - Y) / M, quantile(two, 0.025), quantile(two, 0.975) }
        function quantile(v, q,   i, j, s, t) { # insertion would be slow: count instead
            for (i = 0; i < 2000; i++) s[i] = v[i]
            for (i = 1; i < 2000; i++) { t = s[i]; for (j = i - 1; j >= 0 && s[j] > t; j--) s[j + 1] = s[j]; s[j + 1] = t }
            return s[int(q * 1999 + 0.5)] }'
}
count() { sed -n 's/.*; \([0-9,]* parameters\)[^,]*, \(.*\)$/\1, \2/p' "$out/$1-0-train.txt" | head -n 1; }

cat > "$report" <<END
# Clips: a network that remembers, or single frames and averaging

Drawn clips of $frames frames, $side x $side, from the face at rest to $peak % of an expression; seven expressions. People differ in how stern or
friendly they look at rest, so that one weak frame is ambiguous and the change is not. Training: $clips clips (seed 11, 15 % of the people
validate); test: $test_clips clips of $((test_clips / 7)) other people (seed 99), which chose nothing. $seeds seeds of training each. $(settings clips)
(CLIPS=$clips CLIP_PEAK=$peak CLIP_SEEDS=$seeds)

| | % right, mean of $seeds seeds (95 %, over people) | less "frames, smoothed" |
|---|---|---|
$(row convlstm "ConvLSTM2D over the clip: $(count convlstm)")
$(row lstm "LSTM over features of the frames: $(count lstm)")
$(row mean "frame CNN, probabilities averaged over the frames: $(count frames)")
$(row smooth "frame CNN, smoothed as by \`mien predict\`, at the last frame")
$(row last "frame CNN, the last frame alone")

All begin with the same two convolutions. The frame network is trained on every frame with the label of its clip, also on the first,
which shows nothing; it sees $frames times as many pictures an epoch and trains for a third of the epochs. Intervals resample the people of
the test, not the trainings. These are drawings: the winner here need not win on films of people.
END
printf 'wrote %s after %d s\n' "$report" $(($(date +%s) - started))
