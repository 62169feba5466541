/* Runs no other CPU's programs. */
#define HOST_NAME "ppc64le"
#define HOST_CPU {21, CLASS_64, DATA_LSB}
#define HOST_COMPATIBLE
#define HOST_ABIS ABI_PPC64LE
