#!/bin/sh
# make demo: faces are drawn, a network with two heads learns from them, and what it learnt is shown.
#   sh apps/demo.sh [FOLDER]      MIEN=build/mien names the program, FACE=photo.jpg a picture of yours for the last step
set -eu
mien=${MIEN:-build/mien}
out=${1:-build/demo}
data=rendered:5000,size=32

mkdir -p "$out"
say() { printf '\n== %s\n' "$*"; }

say "Training: drawn faces, apparent expression and gender together (Ctrl-C stops; it says how to go on)"
"$mien" train --data $data --net tiny --size 32 --epochs 14 --batch 64 --lr 0.1 --nesterov --weight-decay 5e-4 \
    --schedule onecycle --normalize image --augment flip --out "$out/faces.h5" --log "$out/run.jsonl" --plot "$out/curves.svg"

say "Scores on test rows: people that it has never seen"
"$mien" eval --model "$out/faces.h5" --data $data --json "$out/scores.json" --plot "$out/confusion.svg"

say "Labels for a sheet of new people: a row a person, a column an expression"
cell=144 gap=48 columns=7 rows=4
"$mien" render --sheet "$out/sheet.png" --rgb --rows $rows --size $cell --gap $gap --seed 77
# Where the faces are is known here, so no detector is needed: the cells without the extra hair around them.
edge=$((cell * 7 / 100)) side=$((cell * 86 / 100))
faces=
row=0
while [ $row -lt $rows ]; do
    column=0
    while [ $column -lt $columns ]; do
        faces="$faces --face $((column * (cell + gap / 4) + edge)),$((row * (cell + gap) + gap + edge)),$side,$side"
        column=$((column + 1))
    done
    row=$((row + 1))
done
# shellcheck disable=SC2086  # the list is meant to be split
"$mien" predict --model "$out/faces.h5" "$out/sheet.png" $faces --annotate "$out/labelled.png" > "$out/labelled.txt"

if [ -n "${FACE:-}" ]; then
    say "The model that comes with mien (tiny, trained on photographs), on $FACE"
    "$mien" predict "$FACE" --annotate "$out/face_labelled.png"
else
    say "The model that comes with mien (tiny, trained on photographs), on a drawn face; make demo FACE=photo.jpg takes yours"
    "$mien" render --face "$out/face.png" --rgb --expression happy --gender woman --seed 5
    "$mien" predict "$out/face.png" --whole --annotate "$out/face_labelled.png"
fi

cat <<END

Done. In $out:
  faces.h5        the model: mien info $out/faces.h5
  curves.svg      loss and accuracy, epoch by epoch
  confusion.svg   what was taken for what
  labelled.png    the sheet with the model's labels
  face_labelled.png  a face with the labels of the model that comes with mien

Try next:
  $mien predict YOUR-PHOTO.jpg --annotate labelled.png
  $mien train --data folder:YOUR-PICTURES --net tiny --augment default --out own.h5
  $mien help train
A label is a network's guess about a picture, not what a person feels or is; faces.h5 has seen drawings only.
END
