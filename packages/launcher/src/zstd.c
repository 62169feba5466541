/* The decoder of zstd, and no more: sources of the pinned zstd release in one piece, as its own
 * build/single_file_libs does it, in their smallest form. Each host's launcher travels in every
 * universal file, so size counts more than the last third of the speed. */
#define DEBUGLEVEL 0
#define MEM_MODULE
#define XXH_NAMESPACE ZSTD_
#define XXH_PRIVATE_API
#define XXH_INLINE_ALL
#define ZSTD_LEGACY_SUPPORT 0
#define ZSTD_TRACE 0
#define ZSTD_STRIP_ERROR_STRINGS
#define ZSTD_DISABLE_ASM 1
#define ZSTD_NO_INTRINSICS
#define DYNAMIC_BMI2 0
#define HUF_FORCE_DECOMPRESS_X1
#define ZSTD_FORCE_DECOMPRESS_SEQUENCES_SHORT
#define ZSTD_DEPS_NEED_MALLOC

#include "common/zstd_deps.h"

#include "common/debug.c"
#include "common/entropy_common.c"
#include "common/error_private.c"
#include "common/fse_decompress.c"
#include "common/zstd_common.c"
#include "decompress/huf_decompress.c"
#include "decompress/zstd_ddict.c"
#include "decompress/zstd_decompress.c"
#include "decompress/zstd_decompress_block.c"
