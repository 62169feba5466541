/* Some of these CPUs run 32-bit programs, when the kernel is built for it. */
#define HOST_NAME "riscv64"
#define HOST_CPU {243, CLASS_64, DATA_LSB}
#define HOST_COMPATIBLE {243, CLASS_32, DATA_LSB},
#define HOST_ABIS ABI_RISCV64, ABI_RISCV32
