import { UportError } from '@uport/errors';

export function notElf(message: string, hint: string): UportError {
  return new UportError({
    code: 'UPORT_ELF_NOT_ELF',
    category: 'input',
    message,
    hint,
    offset: 0,
  });
}

export function truncated(what: string, offset: bigint, length: bigint, size: number): UportError {
  return new UportError({
    code: 'UPORT_ELF_TRUNCATED',
    category: 'input',
    message: `the file ends inside ${what}: it wants ${length} bytes there and the file has ${size} in all`,
    hint: 'the file is incomplete; copy or download it again',
    offset,
  });
}

export function outOfBounds(what: string, offset: bigint, size: number | bigint): UportError {
  return new UportError({
    code: 'UPORT_ELF_OUT_OF_BOUNDS',
    category: 'input',
    message: `${what} lies past the end (${size} bytes)`,
    hint: 'the file is damaged or incomplete; `readelf -lW FILE` shows its headers',
    offset,
  });
}

export function invalid(message: string, offset: bigint | number, hint?: string): UportError {
  return new UportError({
    code: 'UPORT_ELF_INVALID',
    category: 'input',
    message,
    hint:
      hint ?? 'the file is damaged or not meant for Linux; `readelf -hlW FILE` shows its headers',
    offset,
  });
}
