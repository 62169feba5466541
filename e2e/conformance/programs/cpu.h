/* The CPU that this is compiled for, as uport names it. */
#if defined __aarch64__
#define CPU "aarch64"
#elif defined __x86_64__
#define CPU "x86_64"
#elif defined __riscv
#define CPU "riscv64"
#elif defined __s390x__
#define CPU "s390x"
#elif defined __powerpc64__
#define CPU "ppc64le"
#elif defined __arm__
#define CPU "arm"
#elif defined __i386__
#define CPU "i386"
#endif
