# A C program of a few files, built by four compilers at once.
set -e
mkdir project && cd project
for i in $(seq 1 8); do
  printf 'int part%d(int n) { return n * %d + 1; }\n' "$i" "$i" >"part$i.c"
done
{
  echo '#include <stdio.h>'
  for i in $(seq 1 8); do echo "int part$i(int);"; done
  echo 'int main(void) { int n = 1;'
  for i in $(seq 1 8); do echo "n = part$i(n) % 10007;"; done
  echo 'printf("%d\n", n); return 0; }'
} >main.c
cat >Makefile <<'M'
objects := $(patsubst %.c,%.o,$(wildcard *.c))
CFLAGS := -O2 -Wall -Werror -pipe
program: $(objects)
	gcc -o $@ $^
%.o: %.c
	gcc $(CFLAGS) -c -o $@ $<
M
make -s -j4
./program
make -s -j4 -q && echo built
