import path from 'node:path';
import { REPOSITORY } from '@uport/testkit';

/** A static riscv64 program that is there without a compiler. */
export const NQUEENS = path.join(REPOSITORY, 'examples/nqueens/nqueens');
