#!/bin/sh
# Plants the faults of tests/mutants.tsv one at a time and expects the tests to notice each. A fault is a copy
# of one file with one text replaced; only the kernels made from that file are compiled again (f32 and f64,
# without vector instructions, -O1) and linked before the library, whose own ones are then left out.
# The exit status is the verdict. Run by `make mutants`, which sets CC, FLAGS, LINK, LIBS, OBJECTS and BUILD;
# `make mutants MUTANTS=conv2d` takes the lines that hold that text. `make emu-mutants` does the same for the kernels in
# cuda/, on the emulated GPU under its checker, with tests/mutants-cuda.tsv and CUDA_CC.
set -u
TABLE=${TABLE:-tests/mutants.tsv}
ALWAYS=${ALWAYS-gradcheck} # suites that run for every fault
OUT=$BUILD/mutants
TAB=$(printf '\t')

# replace OLD NEW <in >out: fails unless OLD stands in the input exactly once
replace() {
    OLD=$1 NEW=$2 awk 'BEGIN { old = ENVIRON["OLD"] }
        { line = $0; out = ""
          while ((i = index(line, old)) > 0) {
              found++; out = out substr(line, 1, i - 1) ENVIRON["NEW"]; line = substr(line, i + length(old))
          }
          print out line }
        END { exit found != 1 }'
}

# The C files whose kernels change with file $1.
sources_of() {
    case $1 in
    cpu/*.c | autograd/*.c | tensor/*.c | layers/*.c | data/*.c | optim/*.c) echo "$1" ;;
    cuda/*.cu) echo "$1" ;;
    cuda/*) grep -l -F " $1" "$BUILD"/obj/cuda/*.checked.d | sed "s|.*/\(.*\)\.cu\.checked\.d|cuda/\1.cu|" ;;
    autograd/*.def) stem=${1#autograd/}; echo "cpu/${stem%.def}.c" ;;
    *) grep -l -F " $1" "$BUILD"/obj/cpu/*_f64_plain.d | sed "s|.*/\(.*\)_f64_plain\.d|cpu/\1.c|" ;;
    esac
}

# compile SOURCE DIR: what replaces the kernels (or the object) of SOURCE, reading files from DIR first
compile() {
    from=$1; [ -f "$2/$1" ] && from=$2/$1
    stem=$(echo "$1" | tr / _)
    own="-UMN_HAVE_OPENBLAS -DMN_HAVE_OPENBLAS=0" # the library's own products, not OpenBLAS's
    case $1 in
    cuda/*)
        $CUDA_CC -iquote "$2" -x c++ -c "$from" -o "$2/$(basename "$1").checked.o" &&
            objcopy --redefine-sym memcpy=__tsan_memcpy --redefine-sym memmove=__tsan_memmove \
                --redefine-sym memset=__tsan_memset "$2/$(basename "$1").checked.o" ;;
    cpu/*)
        $CC -I"$2" $FLAGS $own -O1 -DMN_VARIANT=f32_plain -DREAL=float -DREAL_IS_F32=1 -c "$from" -o "$2/$stem.f32.o" &&
            $CC -I"$2" $FLAGS $own -O1 -DMN_VARIANT=f64_plain -DREAL=double -DREAL_IS_F64=1 -c "$from" -o "$2/$stem.f64.o" ;;
    *) $CC -I"$2" $FLAGS -O1 -c "$from" -o "$2/$stem.o" ;;
    esac
}

# one N SUITES FILE OLD NEW: leaves "verdict, seen by" in $OUT/N/verdict
one() {
    dir=$OUT/$1 suites=$2 file=$3
    rm -rf "$dir"
    mkdir -p "$dir/$(dirname "$file")"
    if ! replace "$4" "$5" <"$file" >"$dir/$file"; then
        echo "REFUSED${TAB}the old text is not in $file exactly once" >"$dir/verdict"
        return
    fi
    for s in $(sources_of "$file"); do
        if ! compile "$s" "$dir" 2>"$dir/log"; then
            echo "REFUSED${TAB}does not compile, see $dir/log" >"$dir/verdict"
            return
        fi
    done
    others= # the emulated GPU's kernels are one object in the library: here, all of them that stay
    case $file in
    cuda/*) for o in "$BUILD"/obj/cuda/*.cu.checked.o "$BUILD"/obj/cuda/ladder/*.cu.checked.o; do
        [ -f "$dir/$(basename "$o")" ] || others="$others $o"
    done ;;
    esac
    if ! $LINK -o "$dir/run-tests" $OBJECTS "$dir"/*.o $others "$BUILD/libmien.a" $LIBS 2>"$dir/log"; then
        echo "REFUSED${TAB}does not link, see $dir/log" >"$dir/verdict"
        return
    fi
    if MIEN_CPU=plain OMP_WAIT_POLICY=passive MIEN_QUIET_SKIPS=1 CK_DEFAULT_TIMEOUT=300 timeout $((300 * ${CK_TIMEOUT_MULTIPLIER:-1})) "$dir/run-tests" $ALWAYS $suites >"$dir/log" 2>&1; then
        echo "MISSED${TAB}" >"$dir/verdict"
    else
        by=$(sed -n 's|^tests/[^:]*:[0-9]*:[FE]:\([a-z0-9_]*\):.*|\1|p' "$dir/log" | sort -u | tr '\n' ' ')
        echo "caught${TAB}${by:-a crash}" >"$dir/verdict"
    fi
    rm -f "$dir/run-tests" "$dir"/*.o
}

if [ "${1:-}" = one ]; then # a line of the table by its number
    line=$(sed -n "$2p" "$OUT/table")
    IFS=$TAB read -r suites file old new <<END
$line
END
    one "$2" "$suites" "$file" "$old" "$new"
    exit 0
fi

rm -rf "$OUT"
mkdir -p "$OUT"
grep -v '^#' "$TABLE" | grep -F -e "${MUTANTS:-}" >"$OUT/table" || { echo "no such mutants"; exit 2; }
suites=$(cut -f1 "$OUT/table" | tr ' ' '\n' | sort -u | tr '\n' ' ')
if ! MIEN_CPU=plain MIEN_QUIET_SKIPS=1 "$BUILD/run-tests" $ALWAYS $suites >"$OUT/log" 2>&1; then
    echo "mutants: the suites fail without any fault; see $OUT/log"
    exit 1
fi
n=$(wc -l <"$OUT/table")
seq 1 "$n" | xargs -P "$(nproc 2>/dev/null || echo 2)" -n 1 sh "$0" one

printf '%-8s %-26s %-28s %s\n' verdict file 'seen by' 'old text -> new text'
bad=0
for i in $(seq 1 "$n"); do
    IFS=$TAB read -r verdict by <"$OUT/$i/verdict" || verdict=LOST by=
    [ "$verdict" = caught ] || bad=$((bad + 1))
    sed -n "${i}p" "$OUT/table" | V=$verdict B=$by awk -F '\t' \
        '{ printf "%-8s %-26s %-28s %s -> %s\n", ENVIRON["V"], $2, ENVIRON["B"], $3, $4 }'
done
echo "$n faults planted, $((n - bad)) caught, $bad missed or refused"
[ "$bad" -eq 0 ]
