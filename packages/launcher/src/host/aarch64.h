/* Many of these CPUs run 32-bit Arm programs, when the kernel is built for it. */
#define HOST_NAME "aarch64"
#define HOST_CPU {183, CLASS_64, DATA_LSB}
#define HOST_COMPATIBLE {40, CLASS_32, DATA_LSB},
#define HOST_ABIS ABI_AARCH64, ABI_ARM
