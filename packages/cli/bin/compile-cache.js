// Code that Node has compiled once, kept beside the store. Whoever could write there could make this
// user run anything, so it is used only where the folders are the user's alone.

// Builtin modules are taken without `import`, which makes Node load what they only may need.
const { lstatSync, mkdirSync, statSync } = process.getBuiltinModule('node:fs');
const path = process.getBuiltinModule('node:path');

/** As `Store.defaultRoot` of @uport/core, where no folder is named. */
function usualRoot({ XDG_CACHE_HOME } = process.env) {
  if (XDG_CACHE_HOME && path.isAbsolute(XDG_CACHE_HOME)) return path.join(XDG_CACHE_HOME, 'uport');
  return path.join(process.getBuiltinModule('node:os').homedir(), '.cache', 'uport');
}

/** @param {string} folder */
function isOurs(folder) {
  const uid = process.geteuid?.();
  const { mode, uid: owner } = statSync(folder);
  return (mode & 0o022) === 0 && owner === uid && lstatSync(folder).uid === uid;
}

/** @param {string} folder */
function ensureFolder(folder) {
  if (!statSync(folder, { throwIfNoEntry: false })) mkdirSync(folder, { mode: 0o700 });
}

/** Without a safe place everything works as well, only slower. */
export function useCompileCache() {
  const named = process.env.UPORT_STORE_DIR;
  const root = named ? path.resolve(named) : usualRoot();
  const folder = path.join(root, 'compiled');
  try {
    // A folder that somebody names is made when something is stored in it.
    if (!named) for (const each of [path.dirname(root), root]) ensureFolder(each);
    if (!isOurs(root)) return;
    ensureFolder(folder);
    if (isOurs(folder)) process.getBuiltinModule('node:module').enableCompileCache(folder);
  } catch {
    // No store yet, or a home that cannot be written.
  }
}
