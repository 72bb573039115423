#!/bin/sh
# Follows pages of the documentation to the letter in a copy of the tree: sh tests/docs_test.sh PAGE...
# A fenced block does something when its first line says so, after the language:
#   ```c file=PATH           the block is the file PATH
#   ```c append=PATH         it is added at the end of PATH
#   ```c above=PATH TEXT     it is put above the only line of PATH that holds TEXT
#   ```sh run                it is run by sh -e in the copy, and must succeed
# Other blocks are left alone. The exit status is the verdict.
set -eu
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT INT TERM
tree=$copy/tree blocks=$copy/blocks
mkdir "$tree"
tar cf - --exclude=./build --exclude=./.git . | tar xf - -C "$tree"
# Built for speed of building; the pages are about what is built.
MAKEFLAGS="-j$(nproc 2>/dev/null || echo 2) OPT=-O0 OPENCV=0"
export MAKEFLAGS

# apply INFO BODY: what the first line of a block asks for
apply() {
    path=${1#*=} text=
    case $1 in above=*) text=${path#* } ;; esac
    path=${path%% *}
    case $1 in
    run) (cd "$tree" && sh -eu "$2") ;;
    file=*)
        mkdir -p "$(dirname "$tree/$path")"
        cp "$2" "$tree/$path" ;;
    append=*)
        [ -f "$tree/$path" ] || { echo "there is no file $path to append to"; return 1; }
        cat "$2" >>"$tree/$path" ;;
    above=*)
        [ "$(grep -cF -e "$text" "$tree/$path")" = 1 ] || { echo "not exactly one line of $path holds: $text"; return 1; }
        TEXT=$text awk -v body="$2" 'index($0, ENVIRON["TEXT"]) { while ((getline line <body) > 0) print line } { print }' \
            "$tree/$path" >"$copy/new"
        cp "$copy/new" "$tree/$path" ;;
    esac
}

for page in "$@"; do
    rm -rf "$blocks"
    mkdir "$blocks"
    awk -v out="$blocks/" '
        /^```/ && open { open = 0; close(f); next }
        /^```/ { open = 1; f = sprintf("%s%03d", out, ++n); info = $0; sub(/^```[a-z]* */, "", info)
                 print info > (f ".info"); close(f ".info"); printf "" > f; next }
        open { print > f }' "$page"
    done_blocks=0
    for info in "$blocks"/*.info; do
        first=$(cat "$info")
        case $first in run | file=* | append=* | above=*) ;; *) continue ;; esac
        echo "docs-test: $page: $first"
        apply "$first" "${info%.info}" >"$copy/log" 2>&1 || {
            tail -40 "$copy/log"
            echo "docs-test: $page: FAILED: $first"
            exit 1
        }
        done_blocks=$((done_blocks + 1))
    done
    [ "$done_blocks" -gt 0 ] || { echo "docs-test: $page has nothing to follow"; exit 1; }
done
echo "docs-test: $* followed to the letter"
