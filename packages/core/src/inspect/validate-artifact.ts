import { UportError } from '@uport/errors';
import { validateFile } from '@uport/fatelf/files';
import type { Progress } from '../model/progress.ts';
import { validateLayout } from '../oci/validate.ts';
import { validateUniversal } from '../universal/validate-universal.ts';
import { type ArtifactKind, artifactKind } from './artifact-kind.ts';

export interface ArtifactFault {
  /** Stable: `UPORT_OCI_…`, `UPORT_FATELF_…`. */
  readonly code: `UPORT_${string}`;
  /** The file, and the place in it. */
  readonly where: string;
  readonly message: string;
}

export interface ValidateArtifactOptions {
  readonly signal?: AbortSignal;
  readonly progress?: Progress;
}

type Validator = (
  path: string,
  options: ValidateArtifactOptions,
) => Promise<readonly ArtifactFault[]>;

/** A kind that is not here has nothing that could be checked. */
const VALIDATORS: Readonly<Partial<Record<ArtifactKind, Validator>>> = {
  'oci-layout': validateLayout,
  universal: validateUniversal,
  fatelf: async (file, { signal }) =>
    (await validateFile(file, signal)).map(({ code, where, message }) => ({
      code,
      where,
      message,
    })),
};

/**
 * All faults of an artifact, whatever its kind; none when it is valid.
 *
 * @throws UportError UPORT_ARTIFACT_UNKNOWN, UPORT_NOT_FOUND
 */
export async function validateArtifact(
  path: string,
  options: ValidateArtifactOptions = {},
): Promise<{ readonly kind: ArtifactKind; readonly faults: readonly ArtifactFault[] }> {
  const kind = await artifactKind(path);
  const validator = VALIDATORS[kind];
  if (!validator) {
    throw new UportError({
      code: 'UPORT_ARTIFACT_UNKNOWN',
      category: 'input',
      message:
        kind === 'elf'
          ? `${path} is an ELF file, not an artifact of uport`
          : `${path} is no artifact that is known`,
      hint: `what can be checked: ${Object.keys(VALIDATORS).join(', ')}`,
      file: path,
    });
  }
  return { kind, faults: await validator(path, options) };
}
