#!/bin/sh
# Compiles nqueens.c for riscv64 into the file named by $1. Debian 12's gcc-riscv64-linux-gnu gives the committed bytes.
set -eu
cd "$(dirname "$0")"
exec riscv64-linux-gnu-gcc -Os -std=c11 -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-pie \
  -march=rv64gc -nostdlib -static -no-pie -s -Wl,--build-id=none -o "$1" nqueens.c
