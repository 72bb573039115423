# What seed1.sh, seed2.sh and clips.sh share: where data lies, runs that are kept, the report. Source it.
#   MIEN=build/mien      the program             OUT=build/seed1       models, logs and runs, kept: a second call goes on
#   DATA=DIR             holds CK+48/, fer2013/fer2013.csv and UTKFace/; what is not there is replaced by rendered faces
#   SEED_EPOCHS=50       of the runs that follow a paper's recipe
#   WILD_EPOCHS=SEED_EPOCHS  of seed1's run on FER2013 and UTKFace
#   SEED_ROWS=0          FER2013's training rows and UTKFace's pictures that are used; 0: all of them
#   SEED_SIZE=48         side of the networks' input, which neither paper gives
#   ABLATE_EPOCHS=15 ABLATE_SEEDS=3 ABLATE_SIZE=SEED_SIZE           of the comparisons
#   THREADS=0            0: all processors
set -eu
mien=${MIEN:-build/mien}
data=${DATA:-../data}
epochs=${SEED_EPOCHS:-50}
wild_epochs=${WILD_EPOCHS:-$epochs}
rows=${SEED_ROWS:-0}
size=${SEED_SIZE:-48}
ablate_epochs=${ABLATE_EPOCHS:-15}
ablate_seeds=${ABLATE_SEEDS:-3}
ablate_size=${ABLATE_SIZE:-$size}
threads=${THREADS:-0}
missing=

begin() { # NAME REPORT
    out=${OUT:-build/$1}
    report=${REPORT:-$2}
    mkdir -p "$out" "$(dirname "$report")"
    started=$(date +%s)
}

# Paths of this machine do not belong into a report.
tidy() { sed -e "s#$data/#DATA/#g" -e "s#$out/#OUT/#g" -e "s#$mien#mien#g"; }

# Runs a command once: its output is kept in OUT/NAME.txt, and read from there the next time.
once() { # NAME COMMAND...
    name=$1
    shift
    if [ ! -e "$out/$name.txt" ]; then
        printf '== %s\n' "$*" >&2
        "$@" > "$out/$name.part" || { cat "$out/$name.part" >&2; return 1; }
        mv "$out/$name.part" "$out/$name.txt"
    fi
}

# The data sets, or drawn faces where there are none.
find_data() {
    ckplus=rendered:2000 fer=rendered:4000,seed=1 utk=rendered:4000,seed=2
    if [ -d "$data/CK+48" ]; then ckplus="ckplus:$data/CK+48"; else missing="$missing CK+48"; fi
    if [ -e "$data/fer2013/fer2013.csv" ]; then fer=$(fer_rows); else missing="$missing FER2013"; fi
    if [ -d "$data/UTKFace" ]; then utk=$(utk_rows); else missing="$missing UTKFace"; fi
}

# The first SEED_ROWS training rows of FER2013, and all its test rows.
fer_rows() {
    all=$data/fer2013/fer2013.csv
    if [ "$rows" = 0 ]; then
        echo "fer2013:$all"
        return
    fi
    [ -e "$out/fer2013.csv" ] || awk -v most="$rows" 'NR == 1 || !/Training/ || n++ < most' "$all" > "$out/fer2013.csv"
    echo "fer2013:$out/fer2013.csv"
}

# Every so many pictures of UTKFace, as links, so that about SEED_ROWS remain.
utk_rows() {
    if [ "$rows" = 0 ]; then
        echo "utkface:$data/UTKFace"
        return
    fi
    if [ ! -d "$out/UTKFace" ]; then
        mkdir "$out/UTKFace"
        from=$(cd "$data/UTKFace" && pwd)
        every=$(($(find "$from" -name '*.jpg' | wc -l) / rows + 1))
        find "$from" -name '*.jpg' | sort | awk -v every=$every 'NR % every == 0' | while read -r picture; do
            ln -s "$picture" "$out/UTKFace/"
        done
    fi
    echo "utkface:$out/UTKFace"
}

# "emotion: 51.6 % right (95 %: 40.0 to 64.3), 93 pictures": "51.6 (40.0 to 64.3)", of the head HEAD in OUT/NAME.txt
score() { # NAME HEAD
    sed -n "s/^$2: \([0-9.]*\) % right (95 %: \([0-9.]* to [0-9.]*\)).*/\1 (\2)/p" "$out/$1.txt" | head -n 1
}
# The number beside it of the logistic regression that mien eval trains on the same rows.
baseline() { # NAME HEAD
    sed -n "/^$2:/,\$s/.*logistic regression[^0-9]*\([0-9.]* %.*\)/\1/p" "$out/$1.txt" | head -n 1
}
block() { printf '```\n'; tidy < "$out/$1.txt"; printf '```\n'; }

settings() {
    printf 'Run with `SEED_EPOCHS=%s WILD_EPOCHS=%s SEED_ROWS=%s SEED_SIZE=%s ABLATE_EPOCHS=%s ABLATE_SEEDS=%s ABLATE_SIZE=%s THREADS=%s make %s`: ' \
        "$epochs" "$wild_epochs" "$rows" "$size" "$ablate_epochs" "$ablate_seeds" "$ablate_size" "$threads" "$1"
    printf '%s, %s. SEED_ROWS=0 means all rows.\n' "$(date +%Y-%m-%d)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
    if [ -n "$missing" ]; then printf '\n**Not at hand, replaced by rendered faces:%s.** The scores are of drawings.\n' "$missing"; fi
}
