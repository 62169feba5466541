/* What a universal file tells about itself: lines of a word and what belongs to it. */
#include "info.h"

#include <stdbool.h>
#include <string.h>

#include "memory.h"
#include "message.h"

static const char *bytes_of(const struct index *index, unsigned blob) {
  return concatenate(decimal(index->blobs[blob].raw), " bytes, packed ",
                     decimal(index->blobs[blob].stored));
}

static void print_host(const struct index *index, const struct host *host) {
  say("host ", host->name, ": launcher, ", decimal(host->launcher_size), " bytes", NULL);
  for (unsigned i = 0; i < host->emulator_count; i++) {
    const struct host_emulator *one = &host->emulators[i];
    say("  emulator qemu-", one->emulator.name, ", ", bytes_of(index, one->blob), NULL);
  }
  if (host->has_translator) {
    uint64_t raw = 0, stored = 0;
    for (unsigned i = 0; i < host->part_count; i++) {
      raw += index->blobs[host->parts[i].blob].raw;
      stored += index->blobs[host->parts[i].blob].stored;
    }
    say("  before it ", host->translator.name, ", ", decimal(raw), " bytes, packed ", decimal(stored), NULL);
  }
  for (unsigned i = 0; i < host->slice_count; i++) {
    const struct slice *slice = &host->slices[i];
    say("  native build of ", slice->path, ", ", bytes_of(index, slice->blob), NULL);
  }
}

static const struct program *choose(const struct index *index, const char *argv0) {
  const char *slash = strrchr(argv0, '/');
  const char *name = slash ? slash + 1 : argv0;
  for (unsigned i = 0; i < index->program_count; i++) {
    if (strcmp(index->programs[i].name, name) == 0) return &index->programs[i];
  }
  return &index->programs[0];
}

static void print_start(const struct index *index, const char *folder, const char *argv0) {
  const struct program *program = choose(index, argv0);
  const struct host *host = find_host(index);
  if (!host) {
    say("here: nothing, it has no part for this host's CPU, ", host_name, NULL);
    return;
  }
  const char *how = host->emulator_count == 0 ? "directly" : "";
  for (unsigned i = 0; i < host->slice_count; i++) {
    if (strcmp(host->slices[i].path, program->path) == 0) how = "directly, as a native build";
  }
  if (*how == '\0') how = concatenate("with qemu-", host->emulators[0].emulator.name, "");
  if (host->emulator_count > 1) how = concatenate(how, " or the emulator of its CPU", "");
  say("here: ", host_name, " starts ", program->path, " ", how, NULL);
  if (folder) {
    say("unpacked: ", folder, NULL);
  } else {
    say("unpacked: not yet", NULL);
  }
}

/* .uport/NOTICE, or .uport-N/NOTICE where the app has a .uport of its own. */
static bool is_notice(const char *path) {
  const char *slash = strchr(path, '/');
  return slash && strncmp(path, ".uport", 6) == 0 && strcmp(slash, "/NOTICE") == 0;
}

void print_info(const struct payload *payload, const char *folder, const char *argv0) {
  static struct index index;
  read_index(payload, &index);
  say("file: ", payload->file, NULL);
  say("app: ", index.app, NULL);
  say("id: ", payload->id, NULL);
  say("payload: ", decimal(payload->size), " bytes", NULL);
  for (unsigned i = 0; i < index.program_count; i++) {
    const struct program *program = &index.programs[i];
    const char *words = "";
    for (unsigned arg = 0; arg < program->arg_count; arg++) {
      words = concatenate(words, " ", program->args[arg]);
    }
    say("program ", program->name, ": ", program->path, words, NULL);
  }
  for (unsigned i = 0; i < index.host_count; i++) print_host(&index, &index.hosts[i]);
  uint64_t files = 0, links = 0, dirs = 0;
  const char *notice = NULL;
  for (struct node node; next_node(&index, &node);) {
    if (is_notice(node.path)) notice = node.path;
    if (node.type == NODE_FILE) files++;
    else if (node.type == NODE_DIR) dirs++;
    else links++;
  }
  say("tree: ", decimal(index.tree->raw), " bytes in ", decimal(files), " files, ", decimal(dirs),
      " folders, ", decimal(links), " links", NULL);
  if (notice) say("notice: ", notice, " in the tree", NULL);
  print_start(&index, folder, argv0);
}
