/** One paragraph of a Debian control file: field names in lower case. */
export type Paragraph = ReadonlyMap<string, string>;

/**
 * Parses one paragraph (deb822(5)): `Name: value`, continued by lines that begin with a space or
 * tab. Comment lines are dropped. Lines that fit nothing are ignored, as apt does.
 */
export function parseParagraph(text: string): Paragraph {
  const fields = new Map<string, string>();
  let name: string | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) continue;
    if (line.startsWith(' ') || line.startsWith('\t')) {
      if (name) fields.set(name, `${fields.get(name) ?? ''}\n${line.slice(1)}`);
      continue;
    }
    const colon = line.indexOf(':');
    if (colon <= 0) {
      name = undefined;
      continue;
    }
    name = line.slice(0, colon).toLowerCase();
    fields.set(name, line.slice(colon + 1).trim());
  }
  return fields;
}

/** Paragraphs are parted by empty lines. */
export function parseParagraphs(text: string): readonly Paragraph[] {
  return text
    .replaceAll('\r\n', '\n')
    .split(/\n[ \t]*\n/)
    .map(parseParagraph)
    .filter((paragraph) => paragraph.size > 0);
}
