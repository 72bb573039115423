#!/bin/sh
# Installs what mien needs on Debian or Ubuntu and says exactly what; asks sudo only when not root.
# Does nothing, and asks nothing, when everything is there. MIEN_DEPS=skip turns it off.
set -u
# The compiler, the tests' framework, and the libraries; each of the latter is optional to the build.
WANTED="gcc g++ libc6-dev make pkg-config check libopenblas-dev libhdf5-dev libjansson-dev libpng-dev libjpeg-dev zlib1g-dev
libprotobuf-c-dev protobuf-c-compiler
libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev libopencv-videoio-dev libopencv-highgui-dev
libopencv-objdetect-dev opencv-data"
# Small data for the tests and the first lesson; absent from some mirrors.
EXTRA="dataset-fashion-mnist"

[ "${MIEN_DEPS:-}" = skip ] && exit 0
if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "mien: this is not Debian or Ubuntu; nothing is installed for you. Needed: a C17 compiler with OpenMP;"
    echo "      wanted: OpenBLAS, HDF5, jansson, libpng, libjpeg, zlib, OpenCV 4, Check. 'make config' says what was found."
    exit 0
fi
installed() { dpkg-query -W -f='${Status}\n' "$1" 2>/dev/null | grep -q 'ok installed'; }
known() { apt-cache show "$1" >/dev/null 2>&1; }

missing=""
for p in $WANTED $EXTRA; do installed "$p" || missing="$missing $p"; done
[ -z "$missing" ] && exit 0

AS=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "mien: these packages are missing and there is no sudo; as root, run: apt-get install$missing" >&2
        exit 1
    fi
    AS=sudo
fi
echo "mien: looking for$missing"
$AS apt-get -q update >/dev/null || { echo "mien: apt-get update failed; is there a network?" >&2; exit 1; }
install=""
for p in $missing; do
    if known "$p"; then install="$install $p"
    else case " $EXTRA " in
        *" $p "*) echo "mien: $p is not in this distribution; the tests that use it will be skipped" ;;
        *) echo "mien: $p is not in this distribution" >&2; exit 1 ;;
    esac; fi
done
[ -z "$install" ] && exit 0
echo "mien: installing$install"
echo "mien: this downloads some hundred MB the first time and takes a few minutes"
DEBIAN_FRONTEND=noninteractive $AS apt-get -q install -y --no-install-recommends $install >/tmp/mien-deps.$$ 2>&1 || {
    tail -20 /tmp/mien-deps.$$ >&2
    echo "mien: the installation failed (the last lines are above)" >&2
    rm -f /tmp/mien-deps.$$
    exit 1
}
rm -f /tmp/mien-deps.$$
