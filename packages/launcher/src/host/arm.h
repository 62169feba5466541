/* The kernel below a 32-bit userland may be a 64-bit one. */
#define HOST_NAME "arm"
#define HOST_CPU {40, CLASS_32, DATA_LSB}
#define HOST_COMPATIBLE {183, CLASS_64, DATA_LSB},
#define HOST_ABIS ABI_ARM, ABI_AARCH64
