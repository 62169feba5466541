// What a Debian package says of itself: the control file in its control.tar.
import { UportError } from '@uport/errors';
import { findMembers, unpackMember } from './deb.ts';
import { type Paragraph, parseParagraph } from './deb822.ts';
import { untar } from './untar.ts';

const CONTROL_MAX = 1 << 20;

/** @throws UportError UPORT_DEB_INVALID, UPORT_AR_INVALID, UPORT_XZ_INVALID, UPORT_TAR_INVALID */
export async function readControl(debFile: string, signal: AbortSignal): Promise<Paragraph> {
  const { control } = await findMembers(debFile);
  if (control !== undefined) {
    for await (const entry of untar(unpackMember(debFile, control, signal))) {
      if (entry.type !== 'file' || entry.path.replace(/^\.?\/+/, '') !== 'control') continue;
      if (entry.size > CONTROL_MAX) break;
      const parts: Uint8Array[] = [];
      for await (const part of entry.content()) parts.push(part.slice());
      return parseParagraph(Buffer.concat(parts).toString('utf8'));
    }
  }
  throw new UportError({
    code: 'UPORT_DEB_INVALID',
    category: 'input',
    message: 'not a readable Debian package: it has no control file',
    hint: 'get the file again',
    file: debFile,
  });
}
