/* The uport launcher: a small static program that starts an app on its host, whatever CPU the app
 * was compiled for.
 *
 *   launch [--manifest FILE] [--argv0 NAME] [--default-signals] [--] PROGRAM [ARG...]
 *   launch --enter ROOT [--workdir DIR] [--bind FROM=TO]... [--register LINE]... [OPTION...] -- PROGRAM [ARG...]
 *   launch --namespace -- PROGRAM [ARG...]
 *   launch [--manifest FILE] --print-manifest
 *   launch --probe
 *   launch --unpack|--unpacked FILE ARGV0 [ARG...]
 *
 *   translate PROGRAM [ARG...]
 *
 * Under another program's name, which /.uport/shims lists, all arguments are that program's.
 *
 * With a payload at its own end it takes no options: all arguments are the app's. As an interpreter
 * of binfmt_misc with the flag P it gets the app's path, its argv[0] and its arguments.
 *
 * It needs nothing of the host's userland, not even /proc. Reading order: main.c (this file),
 * settings.c, manifest.c, start.c (which way), translator.c, target.c and shebang.c (what is to be started),
 * exec-way.c (how the programs run that the app starts: binfmt.c, user-binfmt.c, supervise.c),
 * init.c (as PID 1), enter.c (another root). For FatELF files: fatelf.c, part.c. For universal files: universal.c, unpack.c, payload.c, blob.c, cache.c. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "enter.h"
#include "init.h"
#include "manifest.h"
#include "memory.h"
#include "message.h"
#include "self.h"
#include "settings.h"
#include "shim.h"
#include "start.h"
#include "translator.h"
#include "universal.h"

struct options {
  const char *manifest;
  const char *argv0;
  bool default_signals;
  bool print_manifest;
  bool enters;
  struct entry_root root;
  char **rest; /* PROGRAM and what follows */
};

static const char *option_value(char ***at) {
  if (!(*at)[1]) {
    die(STATUS_OWN_FAULT, **at, ": needs a value, give it as the next argument", NULL);
  }
  return *++*at;
}

static void add_value(const char **values, unsigned *count, char ***at) {
  if (*count == ENTER_LIST_MAX) {
    die(STATUS_OWN_FAULT, **at, ": is given too often, leave some out", NULL);
  }
  values[(*count)++] = option_value(at);
}

static void read_options(char **argv, struct options *options) {
  char **at = argv[0] ? argv + 1 : argv;
  for (; *at && **at == '-'; at++) {
    if (strcmp(*at, "--") == 0) {
      at++;
      break;
    }
    if (strcmp(*at, "--manifest") == 0) {
      options->manifest = option_value(&at);
    } else if (strcmp(*at, "--argv0") == 0) {
      options->argv0 = option_value(&at);
    } else if (strcmp(*at, "--enter") == 0) {
      options->enters = true;
      options->root.path = option_value(&at);
    } else if (strcmp(*at, "--namespace") == 0) {
      options->enters = options->root.only_namespace = true;
    } else if (strcmp(*at, "--workdir") == 0) {
      options->root.workdir = option_value(&at);
    } else if (strcmp(*at, "--bind") == 0) {
      add_value(options->root.binds, &options->root.bind_count, &at);
    } else if (strcmp(*at, "--register") == 0) {
      add_value(options->root.registrations, &options->root.registration_count, &at);
    } else if (strcmp(*at, "--default-signals") == 0) {
      options->default_signals = true;
    } else if (strcmp(*at, "--probe") == 0) {
      /* That it could be started is the answer. */
      _exit(0);
    } else if (strcmp(*at, "--print-manifest") == 0) {
      options->print_manifest = true;
    } else {
      die(STATUS_OWN_FAULT, *at,
          ": is not an option of the launcher, put -- before a program of that name", NULL);
    }
  }
  options->rest = at;
}

/* Runtimes such as Node ignore these two, and what is ignored stays so across execve. */
static void reset_signals(void) {
  struct sigaction standard = {.sa_handler = SIG_DFL};
  sigaction(SIGPIPE, &standard, NULL);
  sigaction(SIGXFSZ, &standard, NULL);
}

/* run_as_init's child has no arguments of its own. */
static struct start start;

static void become_app(void) {
  static struct failure failure;
  start_app(&start, &failure);
  die_of(&failure);
}

/* Whether this start is one of a universal file, and what it is given. */
static bool is_universal(int argc, char **argv, struct universal *universal) {
  static struct payload payload;
  if (argc > 0 && find_own_payload(&payload)) {
    *universal = (struct universal){.file = payload.file, .payload = &payload, .argv = argv};
    return true;
  }
  bool unpack = argc > 3 && strcmp(argv[1], "--unpack") == 0;
  bool unpacked = argc > 3 && strcmp(argv[1], "--unpacked") == 0;
  if (unpack) use_temporary_launcher();
  if (unpack || unpacked) {
    *universal = (struct universal){
        .file = argv[2], .lies_unpacked = unpacked, .argv = argv + 3};
  }
  return unpack || unpacked;
}

/* What the command line asks for; returns whether there is an app to start. */
static bool read_command_line(char **argv, struct manifest *manifest) {
  static struct options options;
  read_options(argv, &options);

  bool named = options.manifest != NULL;
  read_manifest(named ? options.manifest : beside_self("manifest"), named, manifest);
  if (options.print_manifest) {
    if (!manifest->file) {
      die(STATUS_OWN_FAULT, "no manifest is there, name one with --manifest", NULL);
    }
    print_manifest(manifest);
    return false;
  }
  if (!options.rest[0]) {
    die(STATUS_OWN_FAULT, "no program is named, use: launch [--manifest FILE] [--argv0 NAME] "
        "[--default-signals] [--] PROGRAM [ARG...]", NULL);
  }
  if (options.default_signals) reset_signals();
  if (options.enters) {
    enter_root(&options.root, manifest->file && !named ? manifest->folder : NULL);
    if (!options.root.only_namespace) manifest->folder = ENTERED_FOLDER;
  }
  start.program = options.rest[0];
  start.argv = options.rest;
  if (options.argv0) start.argv[0] = (char *)options.argv0;
  start.manifest = manifest;
  enter_surroundings(&manifest->surroundings, manifest->folder);
  return true;
}

/* Started by binfmt_misc for the file argv[1]. */
static void read_interpreted(char **argv, struct manifest *manifest) {
  read_manifest(beside_self("manifest"), false, manifest);
  start.program = strchr(argv[1], '/') ? argv[1] : concatenate("./", argv[1], "");
  start.argv = argv + 2;
  start.manifest = manifest;
  start.is_interpreted = true;
}

/* Started by the translator that runs another program of the app already. */
static void read_translated(char **argv, struct manifest *manifest) {
  read_manifest(beside_self("manifest"), true, manifest);
  start.program = strchr(argv[1], '/') ? argv[1] : concatenate("./", argv[1], "");
  start.argv = argv + 1;
  const char *argv0 = take_translator_argv0();
  if (argv0) start.argv[0] = (char *)argv0;
  start.manifest = manifest;
  start.is_interpreted = start.is_translated = true;
}

/* Started in the place of another program, with its arguments. */
static bool read_shim(char **argv, struct manifest *manifest) {
  const char *original = find_shimmed(argv);
  if (!original) return false;
  read_manifest(shim_manifest, true, manifest);
  static char *alone[2];
  alone[0] = (char *)original;
  start.program = original;
  start.argv = argv[0] ? argv : alone;
  start.manifest = manifest;
  return true;
}

int main(int argc, char **argv) {
  static struct manifest manifest;
  static struct settings settings;
  struct universal universal;
  take_settings(&settings);
  start.preference = settings.preference;
  start.settings = &settings;
  if (argc > 2 && is_interpreter()) {
    read_interpreted(argv, &manifest);
  } else if (argc > 1 && is_translator_self()) {
    read_translated(argv, &manifest);
  } else if (read_shim(argv, &manifest)) {
    /* Before anything looks at the arguments: they are the program's. */
  } else if (is_universal(argc, argv, &universal)) {
    prepare_app(&universal, &settings, &manifest, &start);
  } else if (!read_command_line(argv, &manifest)) {
    return 0;
  }
  if (settings.preference == PREFER_QEMU) manifest.has_translator = false;
  if (getpid() == 1) return run_as_init(become_app);
  become_app();
}
