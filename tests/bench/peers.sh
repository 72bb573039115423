#!/bin/sh
# mien and PyTorch in turn: for each network, mode, batch and number of threads three rounds, the medians of the
# rounds' medians and their ratio, as a Markdown table.
#   sh tests/bench/peers.sh [SECONDS]     MIEN=build/mien PYTHON="/usr/bin/python3" NETS="seed2 mini-xception vgg"
#                                         CASES="train:32:1 train:32:2"  (mode:batch:threads)
# PyTorch runs with huge pages for its temporaries, in both layouts; the better one counts.
set -u
seconds=${1:-3}
mien=${MIEN:-build/mien}
here=$(dirname "$0")
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\).*/\1/p"; }
middle() { sort -n | sed -n 2p; }

printf '| network | mode | batch | threads | mien ms | images/s | MB | PyTorch ms | images/s | MB | layout | mien is |\n'
printf '|---|---|---|---|---|---|---|---|---|---|---|---|\n'
for net in ${NETS:-seed2 mini-xception vgg}; do
    for case in ${CASES:-train:32:1 train:32:2 infer:1:1 infer:64:1 infer:64:2}; do
        mode=${case%%:*} rest=${case#*:}
        batch=${rest%%:*} threads=${rest#*:}
        ours= nchw= last=
        for round in 1 2 3; do
            m=$("$mien" bench --net "$net" --mode "$mode" --batch "$batch" --threads "$threads" --seconds "$seconds" --json)
            ours="$ours$(echo "$m" | field median_ms)
"
            a=$(GLIBC_TUNABLES=glibc.malloc.hugetlb=1 ${PYTHON:-/usr/bin/python3} "$here/torch_peer.py" "$net" "$mode" "$batch" "$threads" nchw "$seconds")
            nchw="$nchw$(echo "$a" | field median_ms)
"
            if [ "$net:$mode" != mini-xception:train ]; then # PyTorch 1.13 crashes there
                b=$(GLIBC_TUNABLES=glibc.malloc.hugetlb=1 ${PYTHON:-/usr/bin/python3} "$here/torch_peer.py" "$net" "$mode" "$batch" "$threads" channels_last "$seconds")
                last="$last$(echo "$b" | field median_ms)
"
            else b=$a last=$nchw; fi
        done
        o=$(printf '%s' "$ours" | middle) n=$(printf '%s' "$nchw" | middle) l=$(printf '%s' "$last" | middle)
        echo "$net $mode $batch $threads $o $(echo "$m" | field peak_rss_mb) $n $l $(echo "$a" | field rss_mb) $(echo "$b" | field rss_mb)" |
            awk '{t = $8 < $7 ? $8 : $7; printf "| %s | %s | %s | %s | %.2f | %.0f | %.0f | %.2f | %.0f | %.0f | %s | %.2f x |\n",
                  $1, $2, $3, $4, $5, 1000*$3/$5, $6, t, 1000*$3/t, $8 < $7 ? $10 : $9, $8 < $7 ? "channels_last" : "nchw", t/$5}'
    done
done
