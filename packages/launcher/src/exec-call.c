/* The arguments of execve and execveat. */
#include "exec-call.h"

#include <string.h>

#include "abi.h"
#include "memory.h"
#include "message.h"

enum {
  WORKING_DIRECTORY = -100, /* AT_FDCWD, of every CPU */
  EMPTY_PATH = 0x1000,      /* AT_EMPTY_PATH */
  NO_FOLLOW = 0x100,        /* AT_SYMLINK_NOFOLLOW */
};

bool read_notified(const struct notification *asked, struct exec_call *call) {
  for (unsigned i = 0; i < host_abi_count; i++) {
    const struct abi *abi = &host_abis[i];
    if (abi->audit != asked->arch || (asked->number != abi->execve && asked->number != abi->execveat)) continue;
    call->is_execveat = asked->number == abi->execveat;
    call->word = abi->word;
    memcpy(call->args, asked->args, sizeof call->args);
    return true;
  }
  return false;
}

uint64_t path_of_call(const struct exec_call *call) { return call->args[call->is_execveat ? 1 : 0]; }

uint64_t environment_of_call(const struct exec_call *call) { return call->args[call->is_execveat ? 3 : 2]; }

const char *name_for_script(const struct exec_call *call, const char *path) {
  if (!call->is_execveat) return path;
  int directory = (int)(uint32_t)call->args[0];
  uint32_t flags = (uint32_t)call->args[4];
  if ((flags & ~(uint32_t)(EMPTY_PATH | NO_FOLLOW)) != 0) return NULL;
  if (*path == '\0' && !(flags & EMPTY_PATH)) return NULL;
  if (*path == '/' || directory == WORKING_DIRECTORY) return path;
  const char *folder = concatenate("/dev/fd/", decimal((uint64_t)(unsigned)directory), "");
  return *path ? concatenate(folder, "/", path) : folder;
}

bool forbids_link(const struct exec_call *call, const char *path) {
  return call->is_execveat && *path != '\0' && (call->args[4] & NO_FOLLOW) != 0;
}
