import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * The files that take longest, the longest first. Started last, one of them would keep one worker busy
 * while the other has nothing left; all others follow in vitest's own order.
 */
const LONGEST = [
  'universal',
  'exec-ladder',
  'kernels',
  'nix-bundle',
  'legacy',
  'building',
  'nix-library',
  'podman',
  'bad-input',
  'binfmt-kernels',
  'existing-images',
  'images',
  'verify',
  'run',
  'conformance',
  'rootfs',
].map((name) => `/${name}.test.ts`);

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = LONGEST.findIndex((name) => moduleId.endsWith(name));
      return place === -1 ? LONGEST.length : place;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
