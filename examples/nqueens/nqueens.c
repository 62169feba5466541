/*
 * The eight queens: prints the first solution and how many there are.
 * Freestanding, so that the riscv64 program is a few kilobytes: it needs two system calls.
 */
static long call(long number, long a, long b, long c) {
  register long a7 __asm__("a7") = number;
  register long a0 __asm__("a0") = a;
  register long a1 __asm__("a1") = b;
  register long a2 __asm__("a2") = c;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2) : "memory");
  return a0;
}

enum { SYS_WRITE = 64, SYS_EXIT = 93, MAX = 12 };

static int size = 8;
static int column[MAX];
static long solutions;
static char text[1024];
static int length;

static void put(const char *s) {
  while (*s) text[length++] = *s++;
}

static void put_number(long n) {
  char digits[20];
  int count = 0;
  do digits[count++] = (char)('0' + n % 10);
  while ((n /= 10) != 0);
  while (count > 0) text[length++] = digits[--count];
}

static void put_board(void) {
  for (int row = 0; row < size; row++) {
    for (int i = 0; i < size; i++) put(i == column[row] ? (i ? " Q" : "Q") : (i ? " ." : "."));
    put("\n");
  }
}

static int safe(int row, int candidate) {
  for (int above = 0; above < row; above++) {
    int apart = candidate - column[above];
    if (apart == 0 || apart == row - above || apart == above - row) return 0;
  }
  return 1;
}

static void place(int row) {
  if (row == size) {
    if (solutions++ == 0) put_board();
    return;
  }
  for (int candidate = 0; candidate < size; candidate++) {
    if (!safe(row, candidate)) continue;
    column[row] = candidate;
    place(row + 1);
  }
}

__attribute__((used)) static void begin(long *stack) {
  char **argv = (char **)(stack + 1);
  if (stack[0] > 1) {
    int n = 0;
    for (const char *s = argv[1]; *s >= '0' && *s <= '9' && n <= MAX; s++) n = n * 10 + (*s - '0');
    if (n < 1 || n > MAX) {
      put("usage: nqueens [1-12]\n");
      call(SYS_WRITE, 2, (long)text, length);
      call(SYS_EXIT, 2, 0, 0);
    }
    size = n;
  }
  place(0);
  put_number(solutions);
  put(" solutions for ");
  put_number(size);
  put(" queens\n");
  call(SYS_WRITE, 1, (long)text, length);
  call(SYS_EXIT, 0, 0, 0);
}

__asm__(".globl _start\n_start:\n  .option push\n  .option norelax\n  la gp, __global_pointer$\n"
        "  .option pop\n  mv a0, sp\n  tail begin\n");
