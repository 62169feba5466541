/* Its kernel may be built to run 31-bit programs. */
#define HOST_NAME "s390x"
#define HOST_CPU {22, CLASS_64, DATA_MSB}
#define HOST_COMPATIBLE {22, CLASS_32, DATA_MSB},
#define HOST_ABIS ABI_S390X, ABI_S390
