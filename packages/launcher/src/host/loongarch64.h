/* Runs no other CPU's programs. */
#define HOST_NAME "loongarch64"
#define HOST_CPU {258, CLASS_64, DATA_LSB}
#define HOST_COMPATIBLE
#define HOST_ABIS ABI_LOONGARCH64
