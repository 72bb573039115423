#!/bin/sh
# mien, PyTorch and, for inference, ONNX Runtime in turn: for each network, mode, batch and number of threads three rounds,
# as a Markdown table of times and of how many times as fast mien is.
#   sh tests/bench/peers.sh [SECONDS]     MIEN=build/mien NETS="seed2 mini-xception vgg"
#                                         CASES="train:32:1 train:32:2"  (mode:batch:threads)
#                                         PYTHON=/usr/bin/python3 (with torch; "none" leaves it out)
#                                         ONNX_PYTHON=python3 (with numpy, onnx, onnxruntime; left out where it has not)
#                                         METRIC=median_ms: of wall time, and the median of the rounds. cpu_ms: the least
#                                         processor time of any step, for a busy machine and one thread
# PyTorch runs with huge pages for its temporaries, in both layouts; the better one counts.
set -u
seconds=${1:-3}
mien=${MIEN:-build/mien}
metric=${METRIC:-median_ms}
python=${PYTHON:-/usr/bin/python3}
onnx=${ONNX_PYTHON:-python3}
here=$(dirname "$0")
$onnx -c 'import numpy, onnx, onnxruntime' 2>/dev/null || onnx=none
field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^,\"}]*\).*/\1/p"; }
if [ "$metric" = cpu_ms ]; then chosen() { sort -n | head -1; }
else chosen() { sort -n | sed -n 2p; }
fi
torch() { # LAYOUT: one round
    GLIBC_TUNABLES=glibc.malloc.hugetlb=1 $python "$here/torch_peer.py" "$net" "$mode" "$batch" "$threads" "$1" "$seconds"
}

echo "| network | mode | batch | threads | mien ms | MB | PyTorch ms | MB | layout | mien is | ONNX Runtime ms | MB | mien is |"
echo '|---|---|---|---|---|---|---|---|---|---|---|---|---|'
for net in ${NETS:-seed2 mini-xception vgg}; do
    for case in ${CASES:-train:32:1 train:32:2 infer:1:1 infer:1:2 infer:64:1 infer:64:2}; do
        mode=${case%%:*} rest=${case#*:}
        batch=${rest%%:*} threads=${rest#*:}
        ours= nchw= last= ort= m= a= b= r=
        for round in 1 2 3; do
            m=$("$mien" bench --net "$net" --mode "$mode" --batch "$batch" --threads "$threads" --seconds "$seconds" --json)
            ours="$ours $(echo "$m" | field "$metric")"
            if [ "$python" != none ]; then
                a=$(torch nchw)
                nchw="$nchw $(echo "$a" | field "$metric")"
                b=$a
                [ "$net:$mode" = mini-xception:train ] || b=$(torch channels_last) # PyTorch 1.13 crashes there
                last="$last $(echo "$b" | field "$metric")"
            fi
            if [ "$onnx" != none ] && [ "$mode" = infer ]; then
                r=$($onnx "$here/onnx_peer.py" "$net" "$batch" "$threads" "$seconds")
                ort="$ort $(echo "$r" | field "$metric")"
            fi
        done
        of() { [ -z "$1" ] && echo - || printf '%s\n' $1 | chosen; }
        mb() { v=$(echo "$1" | field "$2"); echo "${v:--}"; }
        echo "$net $mode $batch $threads $(of "$ours") $(mb "$m" peak_rss_mb) $(of "$nchw") $(of "$last") $(mb "$a" rss_mb) $(mb "$b" rss_mb) $(of "$ort") $(mb "$r" rss_mb)" |
            awk 'function times(t) { return t == "-" ? "" : sprintf("%.2f x", t / $5) }
                 { l = $7 != "-" && $8 + 0 < $7 + 0; t = l ? $8 : $7
                   printf "| %s | %s | %s | %s | %.2f | %.0f | %s | %s | %s | %s | %s | %s | %s |\n", $1, $2, $3, $4, $5, $6,
                          t, l ? $10 : $9, t == "-" ? "" : l ? "channels_last" : "nchw", times(t), $11, $12, times($11) }'
    done
done
