// Dynamic string tokens: ld.so(8), "Dynamic string tokens".

export interface TokenValues {
  /** The folder of the object that has the string; undefined where it is not known. */
  readonly origin: string | undefined;
  readonly lib: string;
  readonly platform: string | undefined;
}

const TOKEN = /\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))/g;

/** Undefined when a token has no value: the linker then leaves the folder out. */
export function expandTokens(text: string, values: TokenValues): string | undefined {
  let known = true;
  const expanded = text.replace(TOKEN, (_, braced?: string, bare?: string) => {
    const value = { ORIGIN: values.origin, LIB: values.lib, PLATFORM: values.platform }[
      (braced ?? bare) as 'ORIGIN' | 'LIB' | 'PLATFORM'
    ];
    if (value === undefined) known = false;
    return value ?? '';
  });
  return known ? expanded : undefined;
}

/** musl knows `$ORIGIN` only; any other `$` makes it ignore the whole path. */
export function expandMuslTokens(
  folders: readonly string[],
  origin: string | undefined,
): readonly string[] {
  const expanded = folders.map((folder) =>
    folder.replace(/\$(?:ORIGIN|\{ORIGIN\})/g, () => origin ?? '$'),
  );
  return expanded.some((folder) => folder.includes('$')) ? [] : expanded;
}
