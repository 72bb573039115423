#!/bin/sh
# What an epoch of FER2013 costs in processor time, loading and augmentation included: `mien train` and a PyTorch script with
# the same network (seed2), batch (32) and changes to the pictures; and mien without changes to them.
#   sh tests/bench/epoch.sh FER2013.csv [ROWS]      MIEN=build/mien  PYTHON=/usr/bin/python3 (with torch; "none" leaves it out)
# Only the training rows among the first ROWS (3200) are used. Each program runs 1 epoch and 3 epochs, one thread, and the
# difference, halved, is an epoch: starting, reading the file and writing the model cancel out. Processor time rather than
# wall time, so that a busy machine can be used.
# Then, of one run each, the processor time of the thread that prepares pictures beside the computing one's.
set -eu
file=$1
rows=${2:-3200}
mien=${MIEN:-build/mien}
python=${PYTHON:-/usr/bin/python3}
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
head -$((rows + 1)) "$file" | grep -v Test >"$work/part.csv"

ours() { # EPOCHS AUGMENT [NET]
    "$mien" train --data "fer2013:$work/part.csv" --val 0 --net "${3:-seed2}" --batch 32 --lr 0.01 --patience 0 --threads 1 --workers 1 \
        --no-baseline --epochs "$1" --augment "$2" --out "$work/model.h5" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
}
theirs() { GLIBC_TUNABLES=glibc.malloc.hugetlb=1 "$python" "$here/epoch_peer.py" "$work/part.csv" "$rows" "$1" 1 1 >"$work/log"; }
cpu() { # COMMAND...: the processor seconds it takes, user and system
    ( "$@"; times ) | tail -1 | tr ms '  ' | awk '{ print 60 * $1 + $2 + 60 * $3 + $4 }'
}
epoch() { # NAME COMMAND [AUGMENT]
    one=$(cpu "$2" 1 ${3:-}) three=$(cpu "$2" 3 ${3:-})
    echo "$one $three" | awk -v name="$1" '{ printf "%-32s %7.2f s an epoch\n", name, ($2 - $1) / 2 }'
}
epoch "mien, augmented" ours flip,rotate=10,shift=0.1,zoom=0.1
epoch "mien, pictures as they are" ours none
[ "$python" = none ] || epoch "PyTorch, augmented" theirs

# The last reading of /proc before the run ends, in ticks: the thread that computes comes first, the one that prepares last.
share() { # NET AUGMENT
    ours 3 "$2" "$1" &
    run=$! last=
    while kill -0 $run 2>/dev/null; do
        child=$(pgrep -P $run -f "$mien" || true)
        now=$(cat /proc/${child:-$run}/task/*/stat 2>/dev/null | awk '{ print $14 + $15 }' | tr '\n' ' ')
        [ "$(echo "$now" | wc -w)" -ge 2 ] && last=$now
        sleep 0.2
    done
    wait $run
    echo "$last" | awk -v name="$1, $2" '{ printf "%-60s %4.1f %% of computing\n", name, 100 * $NF / $1 }'
}
echo
for net in seed2 mini-xception; do
    for augment in none flip,rotate=10,shift=0.1,zoom=0.1 default; do share $net $augment; done
done
