/* The kernel below a 32-bit userland may be a 64-bit one. */
#define HOST_NAME "i386"
#define HOST_CPU {3, CLASS_32, DATA_LSB}
#define HOST_COMPATIBLE {62, CLASS_64, DATA_LSB}, {62, CLASS_32, DATA_LSB},
#define HOST_ABIS ABI_I386, ABI_X86_64, ABI_X32
