/* Its kernel may be built to run i386 and x32 programs. */
#define HOST_NAME "x86_64"
#define HOST_CPU {62, CLASS_64, DATA_LSB}
#define HOST_COMPATIBLE {3, CLASS_32, DATA_LSB}, {62, CLASS_32, DATA_LSB},
#define HOST_ABIS ABI_X86_64, ABI_X32, ABI_I386
