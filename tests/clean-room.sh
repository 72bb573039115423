#!/bin/sh
# The README's two commands on a bare machine: makes a minimal Debian with nothing but git and make in
# DIR (debootstrap; needs root), clones this repository into it and runs make demo and make test there.
#   sudo sh tests/clean-room.sh DIR [SUITE]          SUITE: bookworm (default), trixie, ...
set -eu
[ $# -ge 1 ] || { sed -n '2,4s/^# //p' "$0"; exit 2; }
dir=$1 suite=${2:-bookworm}
here=$(cd "$(dirname "$0")/.." && pwd)
[ -x "$dir/usr/bin/git" ] || debootstrap --variant=minbase --include=git,make,ca-certificates "$suite" "$dir"
rm -rf "$dir/home/mien"
git clone -q "file://$here" "$dir/home/mien"
mountpoint -q "$dir/proc" || mount -t proc proc "$dir/proc"
mountpoint -q "$dir/dev" || mount --bind /dev "$dir/dev"
trap 'umount "$dir/proc" "$dir/dev"' EXIT
cp /etc/resolv.conf "$dir/etc/resolv.conf" 2>/dev/null || true
chroot "$dir" /bin/bash -c 'cd /home/mien && time make demo && time make test'
