/* What an app is started in: environment, working directory, first arguments. */
#include "surroundings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "memory.h"
#include "message.h"

extern char **environ;

static const char *name_of_variable(struct fields *fields) {
  const char *name = decode_field(fields, need_field(fields));
  if (*name == '\0' || strchr(name, '=')) broken(fields, "name that no variable can have");
  return name;
}

static const char *path_of_app(struct fields *fields, char *field, bool inside) {
  const char *path = decode_field(fields, field);
  if (*path == '\0') broken(fields, "empty path");
  if (!inside) return path;
  for (const char *part = path;; part++) {
    size_t length = strcspn(part, "/");
    if (length == 0 || (part[0] == '.' && (length == 1 || (length == 2 && part[1] == '.')))) {
      broken(fields, "path that leads elsewhere");
    }
    part += length;
    if (*part == '\0') return path;
  }
}

static void read_guest(struct fields *fields, struct surroundings *surroundings) {
  if (surroundings->has_guest || surroundings->setting_count > 0 || surroundings->workdir ||
      surroundings->whole_root) {
    broken(fields, "keyword that is unknown or out of order");
  }
  surroundings->has_guest = true;
  surroundings->guest = name_field(fields);
  surroundings->cpu.machine = (uint16_t)number_field(fields, 0xffff);
  surroundings->cpu.class = choice_field(fields, "32", "64", "class that is neither 32 nor 64");
  surroundings->cpu.data =
      choice_field(fields, "lsb", "msb", "byte order that is neither lsb nor msb");
  surroundings->flags_mask = (uint32_t)number_field(fields, 0xffffffff);
  surroundings->flags_value = (uint32_t)number_field(fields, 0xffffffff);
  if (surroundings->flags_value & ~surroundings->flags_mask) {
    broken(fields, "flags outside their mask");
  }
  need_end(fields);
}

static void read_paths(struct fields *fields, bool inside, struct setting *setting) {
  for (char *field; (field = next_field(fields)) != NULL;) {
    if (setting->path_count == SETTING_PATHS_MAX) broken(fields, "more than 32 paths");
    setting->paths = grow(setting->paths, setting->path_count, sizeof *setting->paths);
    setting->paths[setting->path_count++] = path_of_app(fields, field, inside);
  }
  if (setting->path_count == 0) broken(fields, "too few fields");
}

static const struct {
  const char *keyword;
  enum setting_kind kind;
} kinds[] = {
    {"env", SETTING_ENV},
    {"unset", SETTING_UNSET},
    {"guest-env", SETTING_GUEST_ENV},
    {"guest-paths", SETTING_GUEST_PATHS},
};

static bool read_setting(struct fields *fields, enum setting_kind kind, bool inside,
                         struct surroundings *surroundings) {
  bool of_guest = kind == SETTING_GUEST_ENV || kind == SETTING_GUEST_PATHS;
  bool is_late = surroundings->workdir || surroundings->whole_root;
  if (is_late || (of_guest && !surroundings->has_guest)) {
    broken(fields, "keyword that is unknown or out of order");
  }
  if (surroundings->setting_count == SETTINGS_MAX) broken(fields, "more than 256 variables");
  struct setting *setting = &surroundings->settings[surroundings->setting_count++];
  *setting = (struct setting){.kind = kind, .name = name_of_variable(fields)};
  if (kind == SETTING_GUEST_PATHS) {
    read_paths(fields, inside, setting);
    return true;
  }
  if (kind != SETTING_UNSET) setting->value = decode_field(fields, need_field(fields));
  need_end(fields);
  return true;
}

bool read_surroundings(struct fields *fields, const char *keyword, bool inside,
                       struct surroundings *surroundings) {
  if (strcmp(keyword, "guest") == 0) {
    read_guest(fields, surroundings);
    return true;
  }
  if (strcmp(keyword, "workdir") == 0 && !surroundings->workdir && !surroundings->whole_root) {
    surroundings->workdir = path_of_app(fields, need_field(fields), inside);
    need_end(fields);
    return true;
  }
  if (strcmp(keyword, "whole-root") == 0 && !surroundings->whole_root) {
    surroundings->whole_root = true;
    need_end(fields);
    return true;
  }
  for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    if (strcmp(keyword, kinds[i].keyword) == 0) {
      return read_setting(fields, kinds[i].kind, inside, surroundings);
    }
  }
  return false;
}

static char *put_keyword(char *to, const char *end, const char *keyword) {
  size_t size = strlen(keyword);
  if (!to || (size_t)(end - to) < size) return NULL;
  memcpy(to, keyword, size);
  return to + size;
}

static char *put_newline(char *to, const char *end) {
  if (!to || to == end) return NULL;
  *to++ = '\n';
  return to;
}

char *put_surroundings(char *to, const char *end, const struct surroundings *surroundings) {
  if (surroundings->has_guest) {
    to = put_text(put_keyword(to, end, "guest"), end, surroundings->guest);
    to = put_text(to, end, decimal(surroundings->cpu.machine));
    to = put_text(to, end, surroundings->cpu.class == CLASS_32 ? "32" : "64");
    to = put_text(to, end, surroundings->cpu.data == DATA_LSB ? "lsb" : "msb");
    to = put_text(to, end, decimal(surroundings->flags_mask));
    to = put_newline(put_text(to, end, decimal(surroundings->flags_value)), end);
  }
  for (unsigned i = 0; i < surroundings->setting_count; i++) {
    const struct setting *one = &surroundings->settings[i];
    to = put_encoded(put_keyword(to, end, kinds[one->kind].keyword), end, one->name);
    if (one->value) to = put_encoded(to, end, one->value);
    for (unsigned path = 0; path < one->path_count; path++) {
      to = put_encoded(to, end, one->paths[path]);
    }
    to = put_newline(to, end);
  }
  if (surroundings->workdir) {
    to = put_encoded(put_keyword(to, end, "workdir"), end, surroundings->workdir);
    to = put_newline(to, end);
  }
  if (surroundings->whole_root) to = put_newline(put_keyword(to, end, "whole-root"), end);
  return to;
}

void move_surroundings(struct surroundings *surroundings, const char *prefix) {
  for (unsigned i = 0; i < surroundings->setting_count; i++) {
    struct setting *one = &surroundings->settings[i];
    const char **paths = allocate((one->path_count + 1) * sizeof *paths);
    for (unsigned path = 0; path < one->path_count; path++) {
      paths[path] = concatenate(prefix, one->paths[path], "");
    }
    one->paths = paths;
  }
  if (surroundings->workdir) {
    surroundings->workdir = concatenate(prefix, surroundings->workdir, "");
  }
}

static const char *absolute(const char *folder, const char *path) {
  return *path == '/' ? path : concatenate(folder, path, "");
}

void enter_surroundings(const struct surroundings *surroundings, const char *folder) {
  for (unsigned i = 0; i < surroundings->setting_count; i++) {
    const struct setting *one = &surroundings->settings[i];
    if (one->kind == SETTING_UNSET) unsetenv(one->name);
    if (one->kind == SETTING_ENV && setenv(one->name, one->value, 1) != 0) {
      die(STATUS_OWN_FAULT, one->name, ": cannot be set (", error_name(errno), ")", NULL);
    }
  }
  if (!surroundings->workdir) return;
  const char *place = absolute(folder, surroundings->workdir);
  if (chdir(place) != 0) {
    die(STATUS_OWN_FAULT, place, ": the working directory of the app cannot be entered (",
        error_name(errno), "), build it with another --workdir", NULL);
  }
}

/* Lists of paths are divided at colons, and those of the loader at blanks too. */
static const char *list_paths(const struct setting *setting, const char *folder) {
  const char *list = "";
  for (unsigned i = 0; i < setting->path_count; i++) {
    const char *path = absolute(folder, setting->paths[i]);
    if (strpbrk(path, ": \t;")) {
      die(STATUS_OWN_FAULT, path, ": cannot be named in ", setting->name,
          ", which is divided at blanks and colons; name another place with UPORT_CACHE_DIR", NULL);
    }
    list = concatenate(list, *list ? ":" : "", path);
  }
  return list;
}

/* Where a list of paths stands in another one; NULL when it does not. */
static char *find_list(const char *value, const char *list) {
  size_t length = strlen(list);
  for (const char *at = value; (at = strstr(at, list)) != NULL; at++) {
    bool starts = at == value || at[-1] == ':', ends = at[length] == '\0' || at[length] == ':';
    if (starts && ends) return (char *)at;
  }
  return NULL;
}

/* What a program of the guest gets that has `own`, or NULL, from who starts it. */
static const char *value_for_guest(const struct setting *setting, const char *folder, const char *own,
                                   bool is_child) {
  if (setting->kind == SETTING_GUEST_PATHS) {
    const char *list = list_paths(setting, folder);
    if (!own || *own == '\0') return list;
    return find_list(own, list) ? own : concatenate(list, ":", own);
  }
  /* Another value than that which the app was started with is the starter's choice. */
  const char *first = getenv(setting->name);
  bool is_chosen = is_child && own && !(first && strcmp(first, own) == 0);
  return is_chosen ? own : setting->value;
}

static bool names(const char *variable, const char *name) {
  size_t length = strlen(name);
  return strncmp(variable, name, length) == 0 && variable[length] == '=';
}

/* Sets a variable in a list that has room for one more. */
static void put_variable(char **list, char *variable, const char *name) {
  for (; *list; list++) {
    if (names(*list, name)) break;
  }
  bool added = *list == NULL;
  *list = variable;
  if (added) list[1] = NULL;
}

static char **copy_list(char **list, size_t room) {
  size_t count = 0;
  while (list && list[count]) count++;
  char **copy = allocate((count + room + 1) * sizeof *copy);
  for (size_t i = 0; i < count; i++) copy[i] = list[i];
  copy[count] = NULL;
  return copy;
}

bool clean_for_host(const struct surroundings *surroundings, const char *folder, char *variable) {
  for (unsigned i = 0; i < surroundings->setting_count; i++) {
    const struct setting *one = &surroundings->settings[i];
    bool of_guest = one->kind == SETTING_GUEST_ENV || one->kind == SETTING_GUEST_PATHS;
    if (!of_guest || !names(variable, one->name)) continue;
    char *value = variable + strlen(one->name) + 1;
    if (one->kind == SETTING_GUEST_ENV) {
      if (strcmp(value, one->value) == 0) return false;
      continue;
    }
    const char *list = list_paths(one, folder);
    char *at = find_list(value, list);
    if (!at) continue;
    const char *rest = at + strlen(list);
    if (*rest == ':') {
      rest++;
    } else if (at > value) {
      at--;
    }
    memmove(at, rest, strlen(rest) + 1);
    if (*value == '\0') return false;
  }
  return true;
}

void find_guest_environment(const struct surroundings *surroundings, const char *folder,
                            const struct elf *elf, const struct own_variables *own,
                            struct guest_environment *found) {
  *found = (struct guest_environment){.environment = environ, .complete = environ};
  if (!surroundings->has_guest || surroundings->cpu.machine != elf->cpu.machine ||
      surroundings->cpu.class != elf->cpu.class || surroundings->cpu.data != elf->cpu.data ||
      (elf->flags & surroundings->flags_mask) != surroundings->flags_value) {
    return;
  }
  unsigned count = surroundings->setting_count;
  found->options = allocate((2 * count + 1) * sizeof *found->options);
  found->environment = copy_list(environ, count);
  found->complete = copy_list(environ, count);
  for (unsigned i = 0; i < count; i++) {
    const struct setting *one = &surroundings->settings[i];
    if (one->kind != SETTING_GUEST_ENV && one->kind != SETTING_GUEST_PATHS) continue;
    const char *given = own ? own->find(own->context, one->name) : getenv(one->name);
    const char *value = value_for_guest(one, folder, given, own != NULL);
    if (own && value == given) continue;
    char *variable = concatenate(one->name, "=", value);
    put_variable(found->complete, variable, one->name);
    /* QEMU takes a comma for the beginning of another variable. */
    if (strchr(variable, ',')) {
      put_variable(found->environment, variable, one->name);
    } else {
      found->options[found->option_count++] = "-E";
      found->options[found->option_count++] = variable;
    }
  }
}

bool has_guest_settings(const struct surroundings *surroundings) {
  for (unsigned i = 0; surroundings->has_guest && i < surroundings->setting_count; i++) {
    enum setting_kind kind = surroundings->settings[i].kind;
    if (kind == SETTING_GUEST_ENV || kind == SETTING_GUEST_PATHS) return true;
  }
  return false;
}

char **join_arguments(char **argv, const char **args, unsigned arg_count, const char **defaults,
                      unsigned default_count) {
  if (arg_count == 0 && default_count == 0) return argv;
  size_t given = 0;
  while (argv[given]) given++;
  char **joined = allocate((given + arg_count + default_count + 2) * sizeof *joined);
  size_t used = 0;
  joined[used++] = argv[0];
  for (unsigned i = 0; i < arg_count; i++) joined[used++] = (char *)args[i];
  for (size_t i = 1; i < given; i++) joined[used++] = argv[i];
  for (unsigned i = 0; given <= 1 && i < default_count; i++) joined[used++] = (char *)defaults[i];
  joined[used] = NULL;
  return joined;
}
